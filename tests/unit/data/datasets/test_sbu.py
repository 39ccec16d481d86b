"""SBU Kinect Interaction's text files."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from shared_data import shared_data

from skelab.data.datasets import open_source
from skelab.data.datasets.sbu import SBU_CLASSES, SbuSource
from skelab.data.preprocessing import get_pipeline
from skelab.errors import DataError

PLACE = "s01s02/08/003/skeleton_pos.txt"
EXPECTED = "expected a frame number and 90 numbers"
ROW = ",".join(str(number) for number in range(180, 271))
"""Frame 180, then 181 to 270."""


def write(folder: Path, content: bytes | str, place: str = PLACE) -> SbuSource:
    path = folder / place
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return SbuSource(folder)


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_file_becomes_two_bodies_of_fifteen_joints(tmp_path: Path, end: str) -> None:
    source = write(tmp_path, f"{ROW}{end}{ROW}{end}")

    clip = source.read(source.items()[0])

    numbers = np.arange(181.0, 271.0).reshape(2, 15, 3)
    assert clip.actors_chosen
    assert clip.num_frames == 2
    for body, joints in zip(("1", "2"), numbers, strict=True):
        assert_array_equal(clip.bodies[body].joints, np.stack([joints, joints]))
        assert_array_equal(clip.bodies[body].frames, [0, 1])


@pytest.mark.parametrize("above", ["", "SBU/"])
def test_the_folders_say_pair_action_and_take(tmp_path: Path, above: str) -> None:
    source = write(tmp_path, ROW, above + PLACE)

    (item,) = source.items()

    assert item.info.name == "s01s02_08_003"
    assert (item.info.label, item.info.subject, item.info.replication) == (7, 102, 3)
    assert SBU_CLASSES[7] == "punching"
    assert len(SBU_CLASSES) == 8
    assert source.units == "normalised"


def test_an_action_out_of_range_is_listed_with_the_reason(tmp_path: Path) -> None:
    place = "s01s02/09/001/skeleton_pos.txt"

    source = write(tmp_path, ROW, place)

    assert not source.items()
    assert list(source.rejected) == [(place, f"{place}: expected an action from 1 to 8, found 9")]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", f"line 1: {EXPECTED}, found nothing"),
        (f"{ROW}\n\n{ROW}\n", f"line 2: {EXPECTED}, found nothing"),
        (f"{ROW}\n{ROW},1\n", f"line 2: {EXPECTED}, found 92 fields"),
        (f"{ROW[:50]}\n", f"line 1: {EXPECTED}, found 13 fields"),
        (ROW.replace("190", "x"), f"line 1: {EXPECTED}, found 'x'"),
        (ROW.replace("190", ""), f"line 1: {EXPECTED}, found ''"),
        (ROW.replace("190", "1_9"), f"line 1: {EXPECTED}, found '1_9'"),
        (ROW.replace("190", "nan"), f"line 1: {EXPECTED}, all finite, found 'nan'"),
        (ROW.replace("190", "1e999"), f"line 1: {EXPECTED}, all finite, found '1e999'"),
        (
            ROW.replace("180", "-1"),
            f"line 1: {EXPECTED}, found '-1' as frame number",
        ),
        (b"\x00\xff\x89PNG\r\n\x1a", f"line 1: {EXPECTED}, found 1 fields"),
    ],
)
def test_a_bad_file_is_named_with_line_expected_and_found(
    tmp_path: Path, content: bytes | str, message: str
) -> None:
    source = write(tmp_path, content)

    with pytest.raises(DataError) as caught:
        source.read(source.items()[0])

    assert str(caught.value) == f"{tmp_path / PLACE}, {message}"


def test_all_217_genuine_files_are_read_and_prepared() -> None:
    source = open_source(shared_data("sbu-interaction"))

    items = source.items()
    for item in items:
        clip = source.read(item)
        prepared = get_pipeline("ctrgcn").prepare(clip, source.layout)
        assert prepared.joints.shape == (2, clip.num_frames, 15, 3)

    assert source.kind == "sbu"
    assert not source.rejected
    assert len(items) == 217
    assert len(Counter(item.info.subject for item in items)) == 16
    assert {item.info.label for item in items} == set(range(8))
