"""What the feeder hands on: whole batches in one axis order, N C T V M."""

from dataclasses import dataclass
from typing import NamedTuple

from jaxtyping import Float, Int64
from torch import Tensor


class MixedLabels(NamedTuple):
    """The labels of the clips that were mixed in.

    Attributes:
        labels: Class index of the clip that was mixed into each clip, N; its own where none was.
        weights: Share of that label in the target, N, from 0 (nothing was mixed in) to 0.5. The
            clip's own label has the rest.
    """

    labels: Int64[Tensor, " N"]
    weights: Float[Tensor, " N"]


@dataclass(frozen=True)
class Batch:
    """A batch of clips: what transforms act on, and what a network takes in the end.

    Attributes:
        joints: Before the window is filled the clips as they are, zeros behind their ends;
            afterwards T is the window; in the end the stream.
        labels: Class indices; -1 unknown.
        rows: Row of each clip in its source.
        mixed: Labels and weights of the clips that were mixed in; None if none was.
        whole: The stream of the whole clips, where ``joints`` shows their beginnings only and a
            task asks for both; else None.
    """

    joints: Float[Tensor, "N C T V M"]
    labels: Int64[Tensor, " N"]
    rows: tuple[int, ...]
    mixed: MixedLabels | None = None
    whole: Float[Tensor, "N C T V M"] | None = None

    def part(self, start: int, size: int) -> "Batch":
        """The ``size`` clips from ``start`` on, or as many as there are."""
        own = slice(start, start + size)
        mixed = self.mixed and MixedLabels(*(column[own] for column in self.mixed))
        whole = None if self.whole is None else self.whole[own]
        return Batch(self.joints[own], self.labels[own], self.rows[own], mixed, whole)
