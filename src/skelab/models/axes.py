"""The axes of a family's weights, for transfer to another layout."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import prod
from typing import Any, Final

from skelab.errors import ModelError
from skelab.skeleton import Layout

BODY_NORM: Final = r"^input_norm\.norm\.(weight|bias|running_mean|running_var)$"
"""Parameters of the input norm, one per coordinate of a pose."""

GRAPH: Final = "graph"
"""In place of axes: a constant tensor, derived from layout and options."""

ORDER: Final = "order"
"""In place of axes: a tensor trained for one order of joints, without a joint axis."""

_AXIS: Final = re.compile(r"\(([A-Za-z ]+)\)|([A-Za-z1])")


def no_sizes(layout: Layout, options: Mapping[str, Any]) -> Mapping[str, int]:
    """No axes besides joints, bodies and channels depend on the layout."""
    return {}


@dataclass(frozen=True)
class JointAxes:
    """The tensors of a family whose shape or meaning depends on the layout.

    Axes are written in order, and a flattened axis in parentheses, slowest first: ``K V V``,
    ``(M V C)``. V are joints, M bodies, C the channels of a joint; letters in ``sizes`` are other
    sizes that depend on the layout, whose leading entries correspond between layouts. All other
    letters must have the same size in both.

    Attributes:
        tensors: Axes, ``GRAPH`` or ``ORDER`` by a regular expression for keys of the state dict;
            the first match applies.
        sizes: Computes the sizes of further letters from a layout and a network's options.

    Raises:
        ModelError: The axes cannot be parsed.
    """

    tensors: Mapping[str, str]
    sizes: Callable[[Layout, Mapping[str, Any]], Mapping[str, int]] = no_sizes

    def __post_init__(self) -> None:
        """Parse every entry, so that a mistake shows when the family is registered."""
        for axes in self.tensors.values():
            if axes not in (GRAPH, ORDER):
                parse_axes(axes)

    def find(self, key: str) -> str | None:
        """The entry of a tensor; None if it does not depend on the layout."""
        found = (axes for pattern, axes in self.tensors.items() if re.search(pattern, key))
        return next(found, None)


def parse_axes(text: str) -> tuple[tuple[str, ...], ...]:
    """Parse axes: ``S (w V)`` becomes ``(("S",), ("w", "V"))``.

    Raises:
        ModelError: The text is not a list of axes.
    """
    if not text or _AXIS.sub("", text).strip():
        raise ModelError(f"axes {text!r}: expected letters and groups, say 'K V V' or '(M V C)'")
    return tuple(tuple((group or single).split()) for group, single in _AXIS.findall(text))


def factor_sizes(
    axes: tuple[tuple[str, ...], ...], shape: tuple[int, ...], sizes: Mapping[str, int]
) -> tuple[int, ...]:
    """The size of every letter in order, as a shape in which the tensor can be viewed.

    Args:
        axes: The result of ``parse_axes``.
        shape: Shape of the tensor.
        sizes: Known sizes of letters; at most one per axis may be missing.

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
