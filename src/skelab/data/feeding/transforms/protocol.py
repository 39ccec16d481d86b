"""The interface of transforms: they draw per clip and act on whole batches."""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any, ClassVar, NamedTuple, Protocol, runtime_checkable

from skelab.data.feeding.batch import Batch
from skelab.data.feeding.chance import Chance
from skelab.skeleton import Layout

SPACE = ("x", "y", "z")
"""Axes of a skeleton in space."""


class ClipFacts(NamedTuple):
    """Facts of a clip that a transform may use when it draws.

    Attributes:
        row: Row of the clip in its source.
        name: Name of the clip.
        label: Class index; -1 unknown.
        frames: Frames of the stored clip.
        valid: Number of frames whose values do not sum to zero.
        bodies: Bodies that were taken.
        window: Frames of an input.
        layout: The joints.
        company: Rows of all clips of the batch, in order.
    """

    row: int
    name: str
    label: int
    frames: int
    valid: int
    bodies: int
    window: int
    layout: Layout
    company: tuple[int, ...]


class Need(StrEnum):
    """Requirements of transforms on a layout, as worded in messages."""

    SPACE = "coordinates x, y, z"
    SIDEWAYS = "a coordinate x"
    PAIRS = "left and right joints"

    def found(self, layout: Layout) -> str | None:
        """What the layout has instead; None if the requirement is met."""
        axes = ", ".join(layout.axes)
        if self is Need.PAIRS:
            return None if layout.pairs else "no pairs"
        if self is Need.SIDEWAYS:
            return None if "x" in layout.axes else axes
        return None if layout.axes == SPACE else axes


@runtime_checkable
class Transform(Protocol):
    """One step of the feeder.

    ``sample`` draws for one clip from a given generator; ``apply`` acts on a whole batch, on its
    device, and is deterministic. So an augmentation can be logged, replayed and tested. Draws
    survive JSON: ``apply`` accepts lists in place of tuples.

    Attributes:
        name: Its name in recipes and logs.
        needs: Requirements on the layout.
        draws: Most uniform numbers that ``sample`` uses.
    """

    name: ClassVar[str]
    needs: ClassVar[tuple[Need, ...]]
    draws: ClassVar[int]

    def sample(self, facts: ClipFacts, rng: Chance) -> Any:
        """Draw for one clip: a number or JSON-compatible sequence; None leaves it unchanged."""
        ...

    def apply(self, batch: Batch, drawn: Sequence[Any]) -> Batch:
        """Apply the transform to a batch, with the draws of each clip."""
        ...


Draws = Mapping[str, Sequence[Any]]
"""Draws of each transform for each clip of a batch, in the order of transforms."""


def num_coordinates(layout: Layout) -> int:
    """Number of channels that are coordinates; a score after them is not."""
    return sum(axis in SPACE for axis in layout.axes)
