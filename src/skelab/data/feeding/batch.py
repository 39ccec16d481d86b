"""Batches of clips in the axis order N C T V M."""

from dataclasses import dataclass
from typing import Final, NamedTuple

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

NO_FRAME: Final = -2
"""Label of a frame that only fills the window."""
FEATURES, POSITIONS, VALID = "features", "positions", "valid"
"""What a ``ModelInput`` calls the three tensors of side-cars."""


class SideCarBatch(NamedTuple):
    """The side-cars of a batch, padded to the longest.

    Attributes:
        features: One vector per described frame.
        positions: Which frame of the window each of them belongs to.
        valid: Which of them count: none of a clip without a side-car.
    """

    features: Float[Tensor, "N S D"]
    positions: Float[Tensor, "N S"]
    valid: Bool[Tensor, "N S"]

    def part(self, own: slice) -> "SideCarBatch":
        """Those of some clips."""
        return SideCarBatch(*(column[own] for column in self))

    def to(self, device: torch.device) -> "SideCarBatch":
        """Move them to another device."""
        return SideCarBatch(*(column.to(device, non_blocking=True) for column in self))

    def by_name(self) -> dict[str, Tensor]:
        """The three tensors as a ``ModelInput`` takes them."""
        return {FEATURES: self.features, POSITIONS: self.positions, VALID: self.valid}


class MixedLabels(NamedTuple):
    """The labels of mixed-in clips (mixup).

    Attributes:
        labels: Class index of the clip that was mixed into each clip, N; its own if none was.
        weights: Share of that label in the target, N, from 0 (nothing was mixed in) to 0.5. The
            clip's own label has the rest.
    """

    labels: Int64[Tensor, " N"]
    weights: Float[Tensor, " N"]


@dataclass(frozen=True)
class Batch:
    """A batch of clips, as transforms and networks take it.

    Attributes:
        joints: Zero-padded clips before the window is filled; afterwards T is the window; finally
            the stream.
        labels: Class indices; -1 unknown.
        rows: Row of each clip in its source.
        mixed: Labels and weights of mixed-in clips; None without mixup.
        whole: The stream of the whole clips, if ``joints`` shows only their beginnings and the
            task needs both; else None.
        frame_labels: Class index of each frame of the window, -1 without an action and
            ``NO_FRAME`` where the clip has no frame; None for clips with one label each.
        side_cars: Further features of the clips; None if the feeder reads none.
    """

    joints: Float[Tensor, "N C T V M"]
    labels: Int64[Tensor, " N"]
    rows: tuple[int, ...]
    mixed: MixedLabels | None = None
    whole: Float[Tensor, "N C T V M"] | None = None
    frame_labels: Int64[Tensor, "N T"] | None = None
    side_cars: SideCarBatch | None = None

    def part(self, start: int, size: int) -> "Batch":
        """Up to ``size`` clips from ``start`` on."""
        own = slice(start, start + size)
        mixed = self.mixed and MixedLabels(*(column[own] for column in self.mixed))
        whole = None if self.whole is None else self.whole[own]
        frames = None if self.frame_labels is None else self.frame_labels[own]
        side_cars = self.side_cars and self.side_cars.part(own)
        return Batch(
            self.joints[own],
            self.labels[own],
            self.rows[own],
            mixed,
            whole,
            frames,
            side_cars,
        )
