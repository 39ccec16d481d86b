"""Observing the beginning of a clip only, before anything else is done with it.

What comes out is what a clip would be that had ended there: later frames and the length of the
whole decide nothing but how many frames a share of the clip is. Without that order the length
leaks: a clip that is resized first, and cut afterwards, shows by its speed how long it goes on.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import ceil
from typing import ClassVar, Final

import numpy as np

from skelab.data.feeding.chance import Chance
from skelab.data.feeding.dataset import PaddedClips
from skelab.errors import DataError
from skelab.native import count_filled

OBSERVE: Final = "observe"
"""What the draws of observing are called in logs: the frames that were observed of each clip."""

WHOLE: Final = "whole"
"""What the draws are called with which the whole clip fills the window, beside its beginning."""

_ROUNDING: Final = 1e-9  # 0.7 * 10 is 7.000000000000001 on some machines, and is 7 frames


@dataclass(frozen=True)
class Observing:
    """How much of each training clip is observed.

    Attributes:
        shares: Lowest and highest share of a clip, drawn uniformly for each clip and epoch.
        whole: The batch has the whole clip as well, augmented by the same draws.

    Raises:
        DataError: The shares are no range in (0, 1].
    """

    draws: ClassVar[int] = 1

    shares: tuple[float, float] = (0.1, 1.0)
    whole: bool = False

    def __post_init__(self) -> None:
        """Refuse shares that are no range."""
        if not 0 < self.shares[0] <= self.shares[1] <= 1:
            raise DataError(
                "observed shares: expected a lowest and a highest share, 0 < lowest <= highest"
                f" <= 1, found {list(self.shares)}"
            )

    def sample(self, frames: int, rng: Chance) -> int:
        """Draw how many frames of a clip are observed, from 1."""
        low, high = self.shares
        return observed_frames(frames, low + (high - low) * rng.random())


def observed_frames(frames: int, share: float) -> int:
    """The frames that a share of a clip is, rounded up, at least one.

    Args:
        frames: Frames of the clip that count.
        share: Above 0, up to 1.

    Raises:
        DataError: The share is out of range.
    """
    if not 0 < share <= 1:
        raise DataError(f"observed share: expected a number above 0 and up to 1, found {share!r}")
    return min(frames, max(1, ceil(frames * share - _ROUNDING)))


def observe(clips: PaddedClips, frames: Sequence[int]) -> PaddedClips:
    """The clips as they would be if each had ended after so many frames.

    A clip with as many frames is left as it is. Valid frames are counted anew among those that
    were observed; in clips with gaps, bodies beyond those that were taken do not count there.

    Args:
        clips: Whole clips.
        frames: Frames to keep of each clip, from 1.

    Raises:
        DataError: There are not as many numbers as clips, or one is below 1.
    """
    if len(frames) != len(clips.frames) or min(frames, default=1) < 1:
        raise DataError(
            f"observed frames: expected {len(clips.frames)} numbers from 1, found {list(frames)}"
        )
    kept = tuple(min(own, seen) for own, seen in zip(clips.frames, frames, strict=True))
    if kept == clips.frames:
        return clips
    places = []
    for first, own, seen, bodies in zip(
        clips.starts, clips.frames, kept, clips.bodies, strict=True
    ):
        places.append(first + np.add.outer(np.arange(bodies) * own, np.arange(seen)).ravel())
    poses = clips.poses[np.concatenate(places)]
    return replace(
        clips,
        poses=poses,
        frames=kept,
        valid=_valid_of(replace(clips, poses=poses, frames=kept), clips),
    )


def _valid_of(observed: PaddedClips, clips: PaddedClips) -> tuple[int, ...]:
    """Valid frames of what was observed; those of clips that were kept whole stay as they were."""
    table = np.array([observed.starts, observed.frames, observed.bodies], dtype=np.int64).T
    found = []
    for place, (own, seen, valid) in enumerate(
        zip(clips.frames, observed.frames, clips.valid, strict=True)
    ):
        if own == seen:
            found.append(valid)
        elif own == valid:  # no gaps
            found.append(seen)
        else:
            poses = observed.poses.cpu().numpy()
            count = int(count_filled(poses, table[place : place + 1])[0])
            found.append(count or seen)
    return tuple(found)
