"""How the authors of a network name its weights."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

Replacement = str | Callable[[re.Match[str]], str]


@dataclass(frozen=True)
class AuthorsFormat:
    """How a family's own state dict maps to that of the authors' code.

    Attributes:
        names: ``(pattern, replacement)`` pairs, applied in order by ``re.sub`` to each key of ours;
            the result is the authors' key. Several of ours may have the same, if the authors
            keep one tensor for what are copies here.
        build_arguments: From the authors' state dict, what the model was built with, as keyword
            arguments of ``create_model`` with ``num_joints``, if the shapes tell it, in place of
            ``layout``. Where the
            authors' code departs from their paper, it asks for the code's way. Raises KeyError
            where a key that it needs is missing.
        as_authors: Reshapes one of our tensors, by our key, to the authors' shape.
        unsaved: Pattern that ``re.search`` finds in those keys of ours that the authors' code does
            not save, say of targets that it draws anew; imported weights keep new ones.
        second_names: ``(pattern, replacement)`` pairs; an authors' key that has the pattern stands
            in their weights a second time, under what the replacement makes of it.
        usual_layout: The layout of the authors' data, which is taken if it has as many joints.
        rank: What the authors' keys are sorted by; keys of one rank keep our order.
    """

    names: tuple[tuple[str, Replacement], ...]
    build_arguments: Callable[[Mapping[str, Tensor]], dict[str, Any]]
    as_authors: Callable[[str, Tensor], Tensor] = lambda key, tensor: tensor
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

    def state_dict(self, model: nn.Module) -> dict[str, Tensor]:
        """The model's weights under the authors' names, in their shapes and order; not copied."""
        own = {key: tensor for key, tensor in model.state_dict().items() if self.saves(key)}
        theirs = {self.key(name): self.as_authors(name, tensor) for name, tensor in own.items()}
        for pattern, replacement in self.second_names:
            again = {re.sub(pattern, replacement, key): tensor for key, tensor in theirs.items()}
            theirs = {**again, **theirs}
        return {key: theirs[key] for key in sorted(theirs, key=self.rank)}


def numbered_from_one(match: re.Match[str]) -> str:
    """Block 0 of ours is ``l1`` in the code of CTR-GCN and its descendants."""
    return f"l{int(match[1]) + 1}."


NUMBERED_BLOCKS: tuple[str, Replacement] = (r"^backbone\.(\d+)\.", numbered_from_one)
"""The name of a block in the code of Shift-GCN, CTR-GCN and their descendants."""

# Names that the code of several families shares; patterns see keys in which only these are left.
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
