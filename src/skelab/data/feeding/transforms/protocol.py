"""What every transform is: it draws for each clip, and acts on whole batches."""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any, ClassVar, NamedTuple, Protocol, runtime_checkable

from skelab.data.feeding.batch import Batch
from skelab.data.feeding.chance import Chance
from skelab.skeleton import Layout

SPACE = ("x", "y", "z")
"""Axes of a skeleton in space."""


class ClipFacts(NamedTuple):
    """What a transform may know of a clip when it draws.

    Attributes:
        row: Row of the clip in its source.
        name: Name of the clip.
        label: Class index; -1 unknown.
        frames: Frames of the clip as it is stored.
        valid: Frames of it whose values do not sum to zero.
        bodies: Bodies of it that were taken.
        window: Frames of an input.
        layout: The joints.
        company: Rows of all clips of the batch, in order, its own included.
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
    """What a transform asks of a layout, as messages word it."""

    SPACE = "coordinates x, y, z"
    SIDEWAYS = "a coordinate x"
    PAIRS = "left and right joints"

    def found(self, layout: Layout) -> str | None:
        """What the layout has instead; None where the need is met."""
        axes = ", ".join(layout.axes)
        if self is Need.PAIRS:
            return None if layout.pairs else "no pairs"
        if self is Need.SIDEWAYS:
            return None if "x" in layout.axes else axes
        return None if layout.axes == SPACE else axes


@runtime_checkable
class Transform(Protocol):
    """One step of the feeder.

    ``sample`` looks at one clip and draws from the generator it is given; ``apply`` acts on a
    whole batch, on whichever device it is, and draws nothing. So an augmentation can be logged,
    replayed and tested. What was drawn survives a trip through JSON: ``apply`` takes lists for
    tuples.

    Attributes:
        name: Its name in recipes and logs.
        needs: What it asks of a layout.
        draws: Uniform numbers that ``sample`` takes at most.
    """

    name: ClassVar[str]
    needs: ClassVar[tuple[Need, ...]]
    draws: ClassVar[int]

    def sample(self, facts: ClipFacts, rng: Chance) -> Any:
        """Draw for one clip: a number, or a sequence that JSON can hold; None does nothing."""
        ...

    def apply(self, batch: Batch, drawn: Sequence[Any]) -> Batch:
        """Act on a batch, with what was drawn for each of its clips."""
        ...


Draws = Mapping[str, Sequence[Any]]
"""What each transform has drawn for each clip of a batch, in the order of the transforms."""


def num_coordinates(layout: Layout) -> int:
    """How many of the channels are coordinates; what follows them, a score, is none."""
    return sum(axis in SPACE for axis in layout.axes)
