"""Orders of values: what a wrong reading makes of a clip, and that each is undone."""

from itertools import permutations, product

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from skelab.data.audit.scrambles import known_scrambles, scramble
from skelab.skeleton import get_layout

NTU25, UTD20, KINECT20 = get_layout("ntu25"), get_layout("utd20"), get_layout("kinect20")
CLIP = np.arange(2 * 4 * 25 * 3, dtype=np.float32).reshape(2, 4, 25, 3)  # M T V C, all different
ORDERS = ["".join(order) for order in permutations("MVC")]


def test_a_frame_read_as_joints_axes_bodies_equals_the_loops_over_its_150_columns() -> None:
    columns = np.zeros((4, 150), np.float32)
    for body, frame, joint, axis in product(range(2), range(4), range(25), range(3)):
        columns[frame, body * 75 + joint * 3 + axis] = CLIP[body, frame, joint, axis]

    wrong = scramble(CLIP, stored="TMVC", read="TVCM")

    for body, frame, joint, axis in product(range(2), range(4), range(25), range(3)):
        assert wrong[body, frame, joint, axis] == columns[frame, joint * 6 + axis * 2 + body]


def test_a_clip_of_msg3d_read_as_one_of_ctrgcn_equals_the_loops() -> None:
    flat = np.zeros(3 * 4 * 25 * 2, np.float32)
    for body, frame, joint, axis in product(range(2), range(4), range(25), range(3)):
        flat[((axis * 4 + frame) * 25 + joint) * 2 + body] = CLIP[body, frame, joint, axis]

    wrong = scramble(CLIP, stored="CTVM", read="TMVC")

    for body, frame, joint, axis in product(range(2), range(4), range(25), range(3)):
        assert wrong[body, frame, joint, axis] == flat[((frame * 2 + body) * 25 + joint) * 3 + axis]


@pytest.mark.parametrize(("stored", "read"), list(permutations(ORDERS, 2)))
def test_every_wrong_order_of_a_frame_is_known_and_undone_in_both_directions(
    stored: str, read: str
) -> None:
    wrong = scramble(CLIP, f"T{stored}", f"T{read}")

    known = {each.name: each for each in known_scrambles((2, 4, 25, 3), NTU25)}
    sizes = {"M": 2, "V": 25, "C": 3}
    as_stored = f"{' x '.join(stored)} ({' x '.join(str(sizes[axis]) for axis in stored)})"
    as_read = f"{' x '.join(read)} ({' x '.join(str(sizes[axis]) for axis in read)})"
    found = known[f"the values of each frame are {as_stored}, but were read as {as_read}"]

    assert_array_equal(found.undo(wrong), CLIP)
    assert found.layout == NTU25


def test_a_clip_whose_second_body_was_left_out_is_put_right_as_one_of_two() -> None:
    alone = CLIP.copy()
    alone[1] = 0
    wrong = scramble(alone, "TMCV", "TMVC")
    assert not wrong[1].any()

    known = {each.name: each for each in known_scrambles((1, 4, 25, 3), NTU25)}
    one = "the values of each frame are C x V (3 x 25), but were read as V x C (25 x 3)"
    two = (
        "the values of each frame are M x C x V (2 x 3 x 25), but were read as"
        " M x V x C (2 x 25 x 3)"
    )

    assert_array_equal(known[one].undo(wrong[:1]), alone[:1])
    assert_array_equal(known[two].undo(wrong[:1]), alone)


def test_layouts_of_as_many_joints_are_mistaken_for_each_other() -> None:
    (first, *_) = known_scrambles((1, 4, 20, 3), UTD20)

    assert first.layout == KINECT20
    assert first.name == "joints in the order of layout kinect20"


def test_whole_clips_of_300_frames_are_looked_for_in_shorter_ones() -> None:
    wrong = scramble(np.tile(CLIP, (1, 75, 1, 1)), "CTVM", "TMVC")

    found = [
        each for each in known_scrambles((2, 300, 25, 3), NTU25) if "of each clip" in each.name
    ]

    right = next(
        each
        for each in found
        if "are C x T x V x M" in each.name and "as T x M x V x C" in each.name
    )
    assert_array_equal(right.undo(wrong), np.tile(CLIP, (1, 75, 1, 1)))
    assert not any("300" in each.name for each in found)
    short = [each.name for each in known_scrambles((2, 90, 25, 3), NTU25)]
    assert any("C x T x V x M (3 x 300 x 25 x 2)" in name for name in short)
