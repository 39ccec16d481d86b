"""NTU ``.skeleton`` files: what is kept of a good one, and what is said of a bad one."""

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from shared_data import shared_data
from skeleton_text import a_pose, skeleton_text

from skelab.data.recordings.skeleton_file import parse_skeleton, read_skeleton_file
from skelab.errors import SkeletonFileError

ONE_FRAME = skeleton_text([[("72057594037932185", a_pose())]], end="\n")
"""Line 1 frames, 2 bodies, 3 a body, 4 the joint count, 5 to 29 the joints."""


def with_line(number: int, line: str | None) -> bytes:
    """ONE_FRAME with another line ``number`` (from 1), or without it."""
    lines = ONE_FRAME.decode().splitlines()
    lines[number - 1 : number] = [] if line is None else [line]
    return "".join(f"{line}\n" for line in lines).encode("latin-1")


def with_field(number: int, field: int, value: str) -> bytes:
    """ONE_FRAME with another field (from 0) in line ``number``."""
    fields = ONE_FRAME.decode().splitlines()[number - 1].split()
    fields[field] = value
    return with_line(number, " ".join(fields))


def test_bodies_come_by_id_with_frames_slots_and_joints() -> None:
    poses = [a_pose(seed) for seed in range(4)]
    frames = [[("7", poses[0])], [], [("9", poses[1]), ("7", poses[2])], [("9", poses[3])]]

    clip = parse_skeleton(skeleton_text(frames), "a.skeleton")

    assert clip.num_frames == 4
    assert not clip.actors_chosen
    assert list(clip.bodies) == ["7", "9"]
    seven, nine = clip.bodies.values()
    assert_array_equal(seven.frames, np.array([0, 2], dtype=np.int32))
    assert_array_equal(seven.joints, np.stack([poses[0], poses[2]]))
    assert seven.slots is not None
    assert_array_equal(seven.slots, [0, 1])
    assert_array_equal(nine.frames, [2, 3])
    assert nine.slots is not None
    assert_array_equal(nine.slots, [0, 0])
    assert nine.tracking is not None
    assert_array_equal(nine.tracking, np.full((2, 25), 2))


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_either_line_end_gives_the_same(end: str) -> None:
    frames = [[("7", a_pose(1))], [("7", a_pose(2))]]

    clip = parse_skeleton(skeleton_text(frames, end), "a.skeleton")

    assert_array_equal(clip.bodies["7"].joints, np.stack([a_pose(1), a_pose(2)]))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b" ", b"  "),
        (b" ", b"\t"),
        (b"\n", b" \n"),
        (b"\n25\n", b"\n 025\n"),
        (b" 163.9239 ", b" nan "),
        (b" 163.9239 ", b" -Infinity "),
        (b"-0.08920905", b"NaN"),
    ],
)
def test_unusual_but_right_files_are_read_like_plain_ones(old: bytes, new: bytes) -> None:
    plain = parse_skeleton(ONE_FRAME, "a.skeleton")

    clip = parse_skeleton(ONE_FRAME.replace(old, new) + b" \n\n", "a.skeleton")

    (body,) = clip.bodies.values()
    (expected,) = plain.bodies.values()
    assert clip.bodies.keys() == plain.bodies.keys()
    assert_array_equal(body.joints, expected.joints)
    assert_array_equal(body.frames, expected.frames)


def test_an_id_listed_twice_in_a_frame_keeps_both_entries_in_order() -> None:
    frames = [[("7", a_pose(1)), ("7", a_pose(2))]]

    clip = parse_skeleton(skeleton_text(frames), "a.skeleton")

    assert_array_equal(clip.bodies["7"].frames, [0, 0])
    assert_array_equal(clip.bodies["7"].joints, np.stack([a_pose(1), a_pose(2)]))
    assert clip.bodies["7"].slots is not None
    assert_array_equal(clip.bodies["7"].slots, [0, 1])


@pytest.mark.parametrize(("content", "num_frames"), [(b"0\n", 0), (b"2\r\n0\r\n0\r\n", 2)])
def test_files_without_a_body_are_well_formed(content: bytes, num_frames: int) -> None:
    clip = parse_skeleton(content, "a.skeleton")

    assert clip.num_frames == num_frames
    assert not clip.bodies


TRACKED = ONE_FRAME.decode().splitlines()[4]
BODY_LINE = ONE_FRAME.decode().splitlines()[2]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "line 1: expected a frame count, found the end of the file"),
        (b"\n \r\n", "line 1: expected a frame count, found the end of the file"),
        (b"\n1\n0\n", "line 1: expected a frame count, found ''"),
        (b"-1\n", "line 1: expected a frame count, found '-1'"),
        (b"1.0\n", "line 1: expected a frame count, found '1.0'"),
        (b"+1\n0\n", "line 1: expected a frame count, found '+1'"),
        (b"1_0\n", "line 1: expected a frame count, found '1_0'"),
        (b"9" * 5000, f"line 1: expected a frame count, found '{'9' * 40}...'"),
        (
            b"\x89PNG\r\n\x1a\n\x00\x00",
            r"line 1: expected a frame count, found '\x89PNG'",
        ),
        (b"\xef\xbb\xbf1\n0\n", r"line 1: expected a frame count, found '\xef\xbb\xbf1'"),
        (b"1000000000000\n", "line 2: expected a body count, found the end of the file"),
        (b"2\n0\n", "line 3: expected a body count, found the end of the file"),
        (with_line(2, "-1"), "line 2: expected a body count, found '-1'"),
        (with_line(2, "one"), "line 2: expected a body count, found 'one'"),
        (with_line(2, "128"), "line 2: expected a body count of at most 127, found 128"),
        (
            with_line(2, "2"),
            "line 30: expected a body of 10 fields, found the end of the file",
        ),
        (with_line(3, "1 2 3"), "line 3: expected a body of 10 fields, found 3 fields: '1 2 3'"),
        (with_line(3, ""), "line 3: expected a body of 10 fields, found 0 fields: ''"),
        (with_line(3, "7"), "line 3: expected a body of 10 fields, found 1 field: '7'"),
        (with_field(3, 0, "-7"), "line 3: expected a body id of digits, found '-7'"),
        (with_field(3, 4, "x"), "line 3: expected a number for a body, found 'x'"),
        (with_field(3, 4, "1_0"), "line 3: expected a number for a body, found '1_0'"),
        (with_line(4, "24"), "line 4: expected a joint count of 25, found 24"),
        (with_line(4, "-25"), "line 4: expected a joint count of 25, found '-25'"),
        (
            ONE_FRAME[: ONE_FRAME.index(b"25\n")],
            "line 4: expected a joint count of 25, found the end of the file",
        ),
        (
            b"".join(ONE_FRAME.splitlines(keepends=True)[:20]),
            "line 21: expected a joint of 12 fields, found the end of the file",
        ),
        (
            with_line(7, None),
            "line 29: expected a joint of 12 fields, found the end of the file",
        ),
        (
            with_line(7, TRACKED + " 2"),
            f"line 7: expected a joint of 12 fields, found 13 fields: '{TRACKED[:40]}...'",
        ),
        (with_line(7, ""), "line 7: expected a joint of 12 fields, found 0 fields: ''"),
        (
            with_line(7, "1 2 3 4 5 6 7 8 9 10 2"),
            "line 7: expected a joint of 12 fields, found 11 fields: '1 2 3 4 5 6 7 8 9 10 2'",
        ),
        (with_field(7, 0, "abc"), "line 7: expected a number for a joint, found 'abc'"),
        (with_field(7, 5, "1-2"), "line 7: expected a number for a joint, found '1-2'"),
        (with_field(7, 5, "1.2.3"), "line 7: expected a number for a joint, found '1.2.3'"),
        (with_field(7, 5, "1e"), "line 7: expected a number for a joint, found '1e'"),
        (with_field(7, 5, "0x1f"), "line 7: expected a number for a joint, found '0x1f'"),
        (with_field(7, 5, "1\xa02"), r"line 7: expected a number for a joint, found '1\xa02'"),
        (with_field(7, 5, "\xff"), r"line 7: expected a number for a joint, found '\xff'"),
        (with_field(7, 0, "nan"), "line 7: expected a finite x of a joint, found 'nan'"),
        (with_field(7, 1, "-inf"), "line 7: expected a finite y of a joint, found '-inf'"),
        (with_field(7, 2, "1e999"), "line 7: expected a finite z of a joint, found '1e999'"),
        (with_field(7, 11, "3"), "line 7: expected a tracking state of 0, 1 or 2, found '3'"),
        (with_field(7, 11, "0.5"), "line 7: expected a tracking state of 0, 1 or 2, found '0.5'"),
        (with_field(7, 11, "nan"), "line 7: expected a tracking state of 0, 1 or 2, found 'nan'"),
        (
            ONE_FRAME + b"\n0\n",
            "line 30: expected the end of the file after the last frame, found ''",
        ),
        (
            ONE_FRAME + b"0\n",
            "line 30: expected the end of the file after the last frame, found '0'",
        ),
        (
            b"0\n\x00garbage\n",
            r"line 2: expected the end of the file after the last frame, found '\x00garbage'",
        ),
    ],
)
def test_a_bad_file_is_named_with_line_expected_and_found(content: bytes, message: str) -> None:
    with pytest.raises(SkeletonFileError) as caught:
        parse_skeleton(content, "A001.skeleton")

    assert str(caught.value) == f"A001.skeleton, {message}"
    assert "\n" not in str(caught.value)


def test_a_file_that_claims_a_million_million_frames_costs_no_memory() -> None:
    tracemalloc.start()
    try:
        with pytest.raises(SkeletonFileError):
            parse_skeleton(b"1000000000000\n0\n0\n", "a.skeleton")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert peak < 1_000_000


def test_a_file_is_read_by_its_path_and_errors_name_it(tmp_path: Path) -> None:
    good, bad = tmp_path / "good.skeleton", tmp_path / "bad.skeleton"
    good.write_bytes(ONE_FRAME)
    bad.write_bytes(b"none")

    clip = read_skeleton_file(good)
    with pytest.raises(SkeletonFileError) as caught:
        read_skeleton_file(bad)

    assert clip.num_frames == 1
    assert str(caught.value) == f"{bad}, line 1: expected a frame count, found 'none'"


def test_a_file_that_is_not_there_is_an_error_with_the_reason(tmp_path: Path) -> None:
    missing = tmp_path / "none.skeleton"

    with pytest.raises(SkeletonFileError) as caught:
        read_skeleton_file(missing)

    assert str(caught.value) == (
        f"{missing}: expected a .skeleton file, found none that can be read:"
        " No such file or directory"
    )


@pytest.mark.parametrize(
    ("name", "num_frames", "num_bodies"),
    [("S001C001P001R001A001", 103, 1), ("S001C001P001R001A050", 74, 2)],
)
def test_genuine_files_have_their_frames_and_bodies(
    name: str, num_frames: int, num_bodies: int
) -> None:
    path = shared_data("ntu-samples", f"{name}.skeleton")

    clip = read_skeleton_file(path)

    assert clip.num_frames == num_frames
    assert len(clip.bodies) == num_bodies
    for track in clip.bodies.values():
        spine = np.linalg.norm(track.joints[:, 1] - track.joints[:, 0], axis=1)
        assert 0.2 < np.median(spine) < 0.4  # metres
