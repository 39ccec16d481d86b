"""The pipeline ``pyskl`` and its test clips against arrays that the authors' code made.

Origin: kennymckormick/pyskl@3f6795f, PreNormalize3D with its defaults, on synthetic bodies rounded
to float16 and widened to float32.
"""

import re

import numpy as np
import pytest
from golden_kit import read_arrays
from numpy import ndarray

from skelab.data.clips.clip import BodyTrack, RawClip
from skelab.data.feeding.transforms import frames_of_test_clips
from skelab.data.preprocessing import get_pipeline
from skelab.errors import NoBodyError
from skelab.skeleton import get_layout

NTU25 = get_layout("ntu25")
CASES = ["plain1", "gaps", "swap", "tie", "ghost", "holes", "up", "down", "nospine", "one"]


def recording(joints: ndarray) -> RawClip:
    """Bodies M T V C as a recording; frames of zeros are frames without the body."""
    frames = np.arange(joints.shape[1], dtype=np.int32)
    tracks = {
        str(body): BodyTrack(frames, place.astype(np.float64)) for body, place in enumerate(joints)
    }
    return RawClip(joints.shape[1], tracks, actors_chosen=True)


@pytest.mark.parametrize("case", CASES)
def test_bodies_are_chosen_centred_and_turned_as_by_the_authors(case: str) -> None:
    arrays = read_arrays("pyskl_pipeline", "prenormalize3d")

    clip = get_pipeline("pyskl").prepare(recording(arrays[f"in_{case}"]), NTU25)

    expected = arrays[f"turned_{case}"]
    bodies = len(clip.joints)  # the authors keep a second body of zeros
    np.testing.assert_allclose(clip.joints, expected[:bodies], rtol=0, atol=2e-6)
    assert not expected[bodies:].any()


@pytest.mark.parametrize("case", ["gaps", "holes"])
def test_without_turning_only_the_origin_moves(case: str) -> None:
    arrays = read_arrays("pyskl_pipeline", "prenormalize3d")
    given = arrays[f"in_{case}"].astype(np.float32)

    clip = get_pipeline("pyskl-centred").prepare(recording(given), NTU25)

    kept = given[:, clip.frame_numbers]
    known = kept.any(axis=-1, keepdims=True)
    expected = (kept - kept[0, 0, NTU25.origin]) * known
    np.testing.assert_array_equal(clip.joints, expected[: len(clip.joints)])


def test_a_recording_of_zeros_has_no_body() -> None:
    with pytest.raises(NoBodyError, match="expected a body in at least one frame, found only"):
        get_pipeline("pyskl").prepare(recording(np.zeros((1, 9, 25, 3))), NTU25)


def test_the_frames_of_test_clips_are_those_of_the_authors() -> None:
    arrays = read_arrays("pyskl_pipeline", "sampling")

    for key, expected in arrays.items():
        found = re.fullmatch(r"test_c(\d+)_k(\d+)_n(\d+)", key)
        assert found is not None
        window, count, frames = map(int, found.groups())
        chosen = frames_of_test_clips(frames, window, count)
        np.testing.assert_array_equal(chosen.ravel(), expected, err_msg=key)
    assert len(arrays) == 76
