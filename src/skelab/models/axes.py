"""Which axes of a family's weights are joints, so that weights can be moved to another layout."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import prod
from typing import Any, Final

from skelab.errors import ModelError
from skelab.skeleton import Layout

BODY_NORM: Final = r"^input_norm\.norm\.(weight|bias|running_mean|running_var)$"
"""What the input norm has for each number of a pose."""

GRAPH: Final = "graph"
"""In place of axes: a tensor that nobody trains, made from layout and options."""

ORDER: Final = "order"
"""In place of axes: trained for one order of the joints; joints cannot be told apart in it."""

_AXIS: Final = re.compile(r"\(([A-Za-z ]+)\)|([A-Za-z1])")


def no_sizes(layout: Layout, options: Mapping[str, Any]) -> Mapping[str, int]:
    """No axes beyond joints, bodies and channels hang on the layout."""
    return {}


@dataclass(frozen=True)
class JointAxes:
    """The tensors of a family whose shape or meaning hangs on the layout.

    Axes are written one after the other, an axis that several share in parentheses, the slowest
    first: ``K V V``, ``(M V C)``. V are joints, M bodies, C the channels of a joint; letters in
    ``sizes`` count something else that the layout decides, of which the first ones of two layouts
    correspond. All other letters must have one size in both.

    Attributes:
        tensors: By a pattern that ``re.search`` finds in a key of the state dict, its axes, or
            ``GRAPH`` or ``ORDER``. The first that is found counts.
        sizes: From a layout and the options of a network, the sizes of further letters.

    Raises:
        ModelError: Axes are written in another way.
    """

    tensors: Mapping[str, str]
    sizes: Callable[[Layout, Mapping[str, Any]], Mapping[str, int]] = no_sizes

    def __post_init__(self) -> None:
        """Read every entry once, so that a slip shows when the family is registered."""
        for axes in self.tensors.values():
            if axes not in (GRAPH, ORDER):
                parse_axes(axes)

    def find(self, key: str) -> str | None:
        """What is said of a tensor; None if the layout has no part in it."""
        found = (axes for pattern, axes in self.tensors.items() if re.search(pattern, key))
        return next(found, None)


def parse_axes(text: str) -> tuple[tuple[str, ...], ...]:
    """The letters of each axis: ``S (w V)`` becomes ``(("S",), ("w", "V"))``.

    Raises:
        ModelError: The text is no list of axes.
    """
    if not text or _AXIS.sub("", text).strip():
        raise ModelError(f"axes {text!r}: expected letters and groups, say 'K V V' or '(M V C)'")
    return tuple(tuple((group or single).split()) for group, single in _AXIS.findall(text))


def factor_sizes(
    axes: tuple[tuple[str, ...], ...], shape: tuple[int, ...], sizes: Mapping[str, int]
) -> tuple[int, ...]:
    """The size of every letter in order, so that a tensor of ``shape`` can be viewed so.

    Args:
        axes: As ``parse_axes`` gives them.
        shape: Shape of the tensor.
        sizes: Sizes of the letters that are known; at most one of an axis is not.

    Raises:
        ModelError: The shape does not fit.
    """
    known = {"1": 1, **sizes}
    found: list[int] = []
    if len(axes) != len(shape):
        raise ModelError(f"expected {len(axes)} axes, found {len(shape)}")
    for letters, length in zip(axes, shape, strict=True):
        rest = prod(known[letter] for letter in letters if letter in known)
        counts = [known.get(letter, length // rest) for letter in letters]
        if prod(counts) != length:
            raise ModelError(f"expected an axis of {' x '.join(letters)}, found {length}")
        found += counts
    return tuple(found)
