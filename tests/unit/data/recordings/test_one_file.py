"""An array of coordinates is a recording, with a body wherever there are numbers."""

from pathlib import Path

import numpy as np
import pytest
from skeleton_text import a_pose, skeleton_text

from skelab.data.recordings.one_file import read_recording, recording_of_array
from skelab.errors import DataError
from skelab.skeleton import get_layout

SBU15 = get_layout("sbu15")


def test_a_body_is_absent_where_all_its_numbers_are_zero() -> None:
    joints = np.ones((2, 6, 15, 3))
    joints[1, [0, 4]] = 0.0

    raw = recording_of_array(joints, SBU15, "clip")

    assert raw.num_frames == 6
    assert raw.actors_chosen
    assert raw.bodies["1"].frames.tolist() == [0, 1, 2, 3, 4, 5]
    assert raw.bodies["2"].frames.tolist() == [1, 2, 3, 5]


def test_whole_numbers_are_coordinates_too() -> None:
    raw = recording_of_array(np.ones((4, 15, 3), dtype=np.int16), SBU15, "clip")

    assert raw.bodies["1"].joints.dtype == np.float64


@pytest.mark.parametrize("shape", [(), (4, 15, 2), (0, 15, 3), (2, 2, 4, 15, 3)])
def test_arrays_of_other_shapes_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(DataError, match=r"clip: expected frames x 15 joints x 3 .*found the shape"):
        recording_of_array(np.ones(shape), SBU15, "clip")


def test_truth_values_are_no_coordinates() -> None:
    with pytest.raises(DataError, match="expected numbers, found values of the type bool"):
        recording_of_array(np.ones((4, 15, 3), dtype=bool), SBU15, "clip")


def test_a_file_is_read_by_its_suffix(tmp_path: Path) -> None:
    text = tmp_path / "clip.skeleton"
    text.write_bytes(skeleton_text([[("7", a_pose(1))], [("7", a_pose(2))]]))
    array = tmp_path / "clip.npy"
    np.save(array, np.ones((3, 15, 3)))

    recorded, made = read_recording(text, SBU15), read_recording(array, SBU15)

    assert (recorded.num_frames, list(recorded.bodies)) == (2, ["7"])
    assert (made.num_frames, made.bodies["1"].joints.shape) == (3, (3, 15, 3))


def test_an_array_in_the_order_of_networks_is_turned() -> None:
    bodies = np.random.default_rng(0).normal(size=(2, 6, 15, 3))

    raw = recording_of_array(np.transpose(bodies, (3, 1, 2, 0)), SBU15, "clip")

    np.testing.assert_array_equal(raw.bodies["1"].joints, bodies[0])
    np.testing.assert_array_equal(raw.bodies["2"].joints, bodies[1])
