"""How the authors of a network name its weights."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

Replacement = str | Callable[[re.Match[str]], str]


@dataclass(frozen=True)
class AuthorsFormat:
    """How a family's own state dict maps to that of the authors' code.

    Attributes:
        names: ``(pattern, replacement)`` pairs, applied in order by ``re.sub`` to each key of ours;
            the result is the authors' key. Several of ours may have the same, if the authors
            keep one tensor for what are copies here.
        build_arguments: From the authors' state dict, what the model was built with, as keyword
            arguments of ``create_model`` with ``num_joints`` in place of ``layout``. Where the
            authors' code departs from their paper, it asks for the code's way. Raises KeyError
            where a key that it needs is missing.
        as_authors: Reshapes one of our tensors, by our key, to the authors' shape.
        rank: What the authors' keys are sorted by; keys of one rank keep our order.
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


# Names that the code of several families shares; patterns see keys in which only these are left.
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
