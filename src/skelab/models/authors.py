"""Conversion of weights to the keys and shapes of the authors' code."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

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
            with ``num_joints`` in place of ``layout``. Where the authors' code departs from their
            paper, it follows the code. Raises KeyError for a missing key.
        as_authors: Reshapes one of our tensors, by our key, to the authors' shape.
        rank: Sort key of the authors' keys; keys of one rank keep our order.
    """

    names: tuple[tuple[str, Replacement], ...]
    build_arguments: Callable[[Mapping[str, "Tensor"]], dict[str, Any]]
    as_authors: Callable[[str, "Tensor"], "Tensor"] = lambda key, tensor: tensor
    rank: Callable[[str], tuple[int, ...]] = lambda key: ()

    def key(self, ours: str) -> str:
        """The authors' name for our key."""
        for pattern, replacement in self.names:
            ours = re.sub(pattern, replacement, ours)
        return ours


# Names that several families share; patterns are applied to keys after the family's own.
COMMON_NAMES: tuple[tuple[str, Replacement], ...] = (
    (r"^input_norm\.norm\.", "data_bn."),
    (r"^classifier\.", "fc."),
    (r"(branches\.\d+)\.reduce\.", r"\1.0."),
    (r"(branches\.\d+)\.reduce_norm\.", r"\1.1."),
    (r"(branches\.\d+)\.dilated\.", r"\1.3.conv."),
    (r"(branches\.\d+)\.dilated_norm\.", r"\1.3.bn."),
    (r"(branches\.\d+)\.pool_norm\.", r"\1.4."),
    (r"residual\.norm\.", "residual.bn."),
)
