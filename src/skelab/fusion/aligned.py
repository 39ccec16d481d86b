"""Side-cars in the windows of clips: aligned by frame numbers of the recording."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
import torch
from jaxtyping import Float32, Float64, Int32
from numpy import ndarray

from skelab.data.clips.clip import Clip
from skelab.data.clips.opened_clips import OpenedClips
from skelab.data.feeding.batch import SideCarBatch
from skelab.errors import SideCarError
from skelab.fusion.store import SideCar, SideCarStore

_SLACK = 2
"""Frames by which a recording and its clip may differ in length: trackers start late."""

Numbers = Callable[[str], Int32[ndarray, " T"]]
"""The frame numbers of a clip, by its name."""


@dataclass(frozen=True, eq=False)
class AlignedSideCars:
    """Reads side-cars as a feeder takes them.

    A vector belongs to the frame of the window whose frame number is nearest to its own. It is
    invalid if none is within half a step of the window: then the window does not show its moment.

    Attributes:
        store: The side-cars.
        numbers: Frame numbers of a clip by name.
        donors: Whose side-car a clip has instead of its own, for controls.
        removed: No clip has a side-car, for controls.
    """

    store: SideCarStore
    numbers: Numbers = field(repr=False)
    donors: Mapping[str, str] = field(default_factory=dict, repr=False)
    removed: bool = False

    def batch(self, names: Sequence[str], places: Sequence[Float64[ndarray, " W"]]) -> SideCarBatch:
        """The side-cars of some clips, padded to the longest.

        Raises:
            SideCarError: A side-car is of a shorter recording than its clip.
        """
        found = [self._placed(*pair) for pair in zip(names, places, strict=True)]
        longest = max([1, *(len(positions) for _, positions in found)])
        features = np.zeros((len(found), longest, self.store.info.size), np.float32)
        positions = np.zeros((len(found), longest), np.float32)
        valid = np.zeros((len(found), longest), bool)
        for row, (vectors, own) in enumerate(found):
            features[row, : len(own)], positions[row, : len(own)] = vectors, own
            valid[row, : len(own)] = True
        return SideCarBatch(*map(torch.from_numpy, (features, positions, valid)))

    def without(self) -> "AlignedSideCars":
        """The same with every side-car removed."""
        return replace(self, removed=True)

    def shuffled(self, donors: Mapping[str, str]) -> "AlignedSideCars":
        """The same with side-cars exchanged: each clip has that of its donor."""
        return replace(self, donors=donors)

    def _placed(
        self, name: str, places: Float64[ndarray, " W"]
    ) -> tuple[Float32[ndarray, "S D"], Float32[ndarray, " S"]]:
        """The valid vectors of a clip that its window shows, and where."""
        donor = self.donors.get(name, name)
        side_car = None if self.removed else self.store.get(donor)
        if side_car is None:
            nothing = np.zeros((0, self.store.info.size), np.float32)
            return nothing, np.zeros(0, np.float32)
        numbers = self.numbers(donor)
        if donor != name:  # by proportion, as the two clips have different lengths
            own = max(len(self.numbers(name)) - 1, 1)
            places = np.where(places < 0, -1, places * (len(numbers) - 1) / own)
        check_length(side_car, numbers)
        shown = np.flatnonzero(places >= 0)
        at = np.interp(places[shown], np.arange(len(numbers)), numbers)
        distances = np.abs(side_car.frames[:, None] - at[None, :])
        nearest = distances.argmin(axis=1)
        steps = np.abs(np.diff(at))
        reach = max(float(np.median(steps)) if len(steps) else 0.0, 1.0) / 2 + 1e-6
        kept = side_car.valid & (distances.min(axis=1) <= reach)
        return side_car.features[kept].astype(np.float32), shown[nearest[kept]].astype(np.float32)


def check_length(side_car: SideCar, numbers: Int32[ndarray, " T"]) -> None:
    """Refuse a side-car of a recording that is shorter than the clip.

    Raises:
        SideCarError: The message has both lengths.
    """
    last = int(numbers[-1])
    if last >= side_car.length + _SLACK:
        raise SideCarError(
            f"side-car {side_car.name!r}: expected a recording of at least {last + 1} frames, as"
            f" the clip has, found {side_car.length}; is it of another clip, or of another frame"
            " rate?"
        )


def side_cars_of_store(side_cars: SideCarStore, clips: OpenedClips) -> AlignedSideCars:
    """The side-cars of the clips of a store.

    Raises:
        SideCarError: No clip has a side-car of its name.
    """
    index = clips.index
    if not any(name in side_cars for name in index.names):
        raise SideCarError(
            f"{side_cars.path}: none of its {len(side_cars):,} side-cars has the name of a clip of"
            f" {clips.path}: expected names like {index.names[0]!r}, found {side_cars.names[0]!r}"
        )
    return AlignedSideCars(side_cars, partial(_numbers, clips, index.rows_by_name, {}))


def side_cars_of_clips(side_cars: SideCarStore, clips: Sequence[Clip]) -> AlignedSideCars:
    """The side-cars of some clips; those without one are served without."""
    known = {clip.info.name: clip.frame_numbers for clip in clips}
    return AlignedSideCars(side_cars, known.__getitem__)


def _numbers(
    clips: OpenedClips,
    rows: Mapping[str, int],
    known: dict[str, Int32[ndarray, " _"]],
    name: str,
) -> Int32[ndarray, " T"]:
    if name not in known:
        known[name] = np.array(clips.clip(rows[name]).frame_numbers)
    return known[name]
