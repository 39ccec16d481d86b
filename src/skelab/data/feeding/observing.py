"""Truncation of clips to an observed share, before any other transform.

The result is the clip as if it had ended there: later frames and the full length only decide how
many frames the share is. Otherwise the length leaks: the speed of a clip that is resized before it
is truncated reveals how long it goes on.
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
"""Name in logs of the numbers of observed frames."""

WHOLE: Final = "whole"
"""Name in logs of the draws with which the whole clip fills the window."""

_ROUNDING: Final = 1e-9  # 0.7 * 10 is 7.000000000000001 on some machines, and is 7 frames


@dataclass(frozen=True)
class Observing:
    """Observed shares of training clips.

    Attributes:
        shares: Lowest and highest share; the share is drawn uniformly per clip and epoch.
        whole: Whether the batch has the whole clips too, augmented by the same draws.

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
        """Draw the number of observed frames of a clip, from 1."""
        low, high = self.shares
        return observed_frames(frames, low + (high - low) * rng.random())


def observed_frames(frames: int, share: float) -> int:
    """The number of frames of a share of a clip, rounded up, at least one.

    Args:
        frames: Counted frames of the clip.
        share: Above 0, up to 1.

    Raises:
        DataError: The share is out of range.
    """
    if not 0 < share <= 1:
        raise DataError(f"observed share: expected a number above 0 and up to 1, found {share!r}")
    return min(frames, max(1, ceil(frames * share - _ROUNDING)))


def observe(clips: PaddedClips, frames: Sequence[int]) -> PaddedClips:
    """Truncate clips to their first frames.

    A clip without further frames is unchanged. Valid frames are recounted among the observed ones;
    in clips with gaps only the selected bodies count there.

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
    """Valid frames after truncation; unchanged for clips that were not truncated."""
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
