"""The feeder's kernel: its equation written as loops, and what it refuses."""

import math
from itertools import product

import numpy as np
import pytest

from skelab.native import can_resample, count_filled, resample_clips
from skelab.native import resample as module

pytestmark = pytest.mark.skipif(not can_resample(), reason="the kernel was not built")

# Two clips: 6 frames of one body, then 4 frames of two; five joints, two axes.
POSES = np.random.default_rng(0).normal(size=(14, 5, 2)).astype(np.float32)
CLIPS = np.array([(0, 6, 1, 1, 5), (6, 4, 2, 0, 4)])


def test_equals_linear_interpolation_written_as_loops() -> None:
    found = np.full((2, 2, 9, 5, 2), np.nan, dtype=np.float32)

    resample_clips(POSES, CLIPS, None, found)

    expected = np.zeros_like(found)
    for n, w in product(range(2), range(9)):
        first, frames, bodies, start, length = CLIPS[n]
        position = max((w + 0.5) * length / 9 - 0.5, 0.0)
        before = math.floor(position)
        after = min(before + 1, length - 1)
        share = position - before
        for m, v, c in product(range(bodies), range(5), range(2)):
            track = POSES[first + m * frames + start :, v, c]
            expected[n, c, w, v, m] = track[before] * (1 - share) + track[after] * share
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    "clip",
    [
        *[(0, 15, 1, 0, 5), (9, 6, 1, 0, 5), (-1, 6, 1, 0, 5), (0, 6, 3, 0, 5), (0, 6, 1, 2, 5)],
        *[(0, 6, 1, -1, 5), (0, 6, 1, 0, 0), (0, 6, 0, 0, 5), (0, 2**62, 2**62, 0, 5)],
    ],
)
def test_a_clip_that_does_not_lie_in_the_poses_is_refused(clip: tuple[int, ...]) -> None:
    found = np.zeros((1, 2, 9, 5, 2), dtype=np.float32)

    with pytest.raises(ValueError, match="the clips do not lie in the values, or sizes differ"):
        resample_clips(POSES, np.array([clip]), None, found)


def test_only_three_axes_can_be_turned() -> None:
    found = np.zeros((2, 2, 9, 5, 2), dtype=np.float32)
    turns = np.zeros((2, 3, 3), dtype=np.float32)

    with pytest.raises(ValueError, match="sizes differ"):
        resample_clips(POSES, CLIPS, turns, found)


@pytest.mark.parametrize("compiled", [True, False])
def test_a_frame_counts_unless_all_of_its_bodies_add_up_to_zero(
    compiled: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    poses = POSES.copy()
    poses[[0, 3]] = 0  # of the clip of one body
    poses[[6, 10]] = 0  # both bodies in the first frame of the other clip
    poses[8] = 0  # one of them in its third
    if not compiled:
        monkeypatch.setattr(module, "_count", None)

    found = count_filled(poses, CLIPS[:, :3])

    assert found.tolist() == [4, 3]


@pytest.mark.parametrize("compiled", [True, False])
@pytest.mark.parametrize(
    "clip", [(0, 15, 1), (9, 6, 1), (-1, 6, 1), (0, 6, 3), (0, 6, 0), (0, 0, 1)]
)
def test_frames_outside_of_the_poses_are_not_counted(
    clip: tuple[int, int, int], compiled: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not compiled:
        monkeypatch.setattr(module, "_count", None)

    with pytest.raises(ValueError, match="the clips do not lie in the values"):
        count_filled(POSES, np.array([clip]))


def test_without_the_kernel_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_compiled", None)

    with pytest.raises(RuntimeError, match="the kernel was not built"):
        resample_clips(POSES, CLIPS, None, np.zeros((2, 2, 9, 5, 2), dtype=np.float32))

    assert not can_resample()
