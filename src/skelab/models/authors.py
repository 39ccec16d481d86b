"""Conversion of weights to the keys and shapes of the authors' code."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from torch import Tensor

Replacement = str | Callable[[re.Match[str]], str]


@dataclass(frozen=True)
class AuthorsFormat:
    """The mapping from a family's state dict to that of the authors' code.

    Attributes:
        names: ``(pattern, replacement)`` pairs that ``re.sub`` applies in order to each of our
            keys; the result is the authors' key. Several keys may map to one, if the authors share
            a tensor that is copied here.
        build_arguments: Derives the arguments of ``create_model`` from the authors' state dict,
            with ``num_joints`` (if the shapes tell it) in place of ``layout``. Where the authors'
            code departs from their paper, it follows the code. Raises KeyError for a missing key.
        as_authors: Reshapes one of our tensors, by our key, to the authors' shape.
        rank: Sort key of the authors' keys; keys of one rank keep our order.
        unsaved: Pattern of those keys of ours that the authors' code does not save, such as targets
            that it draws anew; imported weights keep the newly drawn ones.
        second_names: ``(pattern, replacement)`` pairs; an authors' key that matches is saved a
            second time, under the replacement.
        usual_layout: Layout of the authors' data, the default if it has as many joints.
    """

    names: tuple[tuple[str, Replacement], ...]
    build_arguments: Callable[[Mapping[str, "Tensor"]], dict[str, Any]]
    as_authors: Callable[[str, "Tensor"], "Tensor"] = lambda key, tensor: tensor
    rank: Callable[[str], tuple[int, ...]] = lambda key: ()
    unsaved: str | None = None
    second_names: tuple[tuple[str, Replacement], ...] = ()
    usual_layout: str = "ntu25"

    def key(self, ours: str) -> str:
        """The authors' name for our key."""
        for pattern, replacement in self.names:
            ours = re.sub(pattern, replacement, ours)
        return ours

    def saves(self, ours: str) -> bool:
        """Whether the authors' weights have our key."""
        return self.unsaved is None or re.search(self.unsaved, ours) is None


def numbered_from_one(match: re.Match[str]) -> str:
    """Block 0 of ours is ``l1`` in the code of CTR-GCN and its descendants."""
    return f"l{int(match[1]) + 1}."


NUMBERED_BLOCKS: Final[tuple[str, Replacement]] = (r"^backbone\.(\d+)\.", numbered_from_one)
"""The name of a block in the code of Shift-GCN, CTR-GCN and their descendants."""


def embedded_arguments(
    theirs: Mapping[str, "Tensor"], *, classifier: str = "fc", prefix: str = ""
) -> dict[str, Any]:
    """The arguments of a family that embeds its joints first, from the shapes of its weights.

    Args:
        theirs: The authors' weights.
        classifier: The name of the classifier, without the prefix.
        prefix: What precedes the names of the embedding and the input norm.

    Raises:
        KeyError: A key is missing.
    """
    width, in_channels = theirs[f"{prefix}to_joint_embedding.weight"].shape
    num_joints = theirs[f"{prefix}pos_embedding"].shape[1]
    return {
        "num_classes": theirs[f"{classifier}.weight"].shape[0],
        "num_joints": num_joints,
        "in_channels": in_channels,
        "max_bodies": theirs[f"{prefix}data_bn.weight"].shape[0] // (num_joints * width),
        "width": width,
    }


# Names that several families share; patterns are applied to keys after the family's own.
COMMON_NAMES: tuple[tuple[str, Replacement], ...] = (
    (r"^input_norm\.norm\.", "data_bn."),
    (r"^input_norm\.embed\.", "to_joint_embedding."),
    (r"^input_norm\.position$", "pos_embedding"),
    (r"^classifier\.", "fc."),
    (r"(branches\.\d+)\.reduce\.", r"\1.0."),
    (r"(branches\.\d+)\.reduce_norm\.", r"\1.1."),
    (r"(branches\.\d+)\.dilated\.", r"\1.3.conv."),
    (r"(branches\.\d+)\.dilated_norm\.", r"\1.3.bn."),
    (r"(branches\.\d+)\.pool_norm\.", r"\1.4."),
    (r"residual\.norm\.", "residual.bn."),
)
