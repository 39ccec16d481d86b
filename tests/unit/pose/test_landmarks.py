"""Files of landmarks: what was saved comes back, and nothing else is taken for one."""

import json
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pose_kit import some_landmarks

from skelab.errors import DataError
from skelab.pose.landmarks import (
    LANDMARK_NAMES,
    SUFFIX,
    is_landmark_file,
    read_landmark_info,
    read_landmarks,
)


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    """A file of two people."""
    path = tmp_path / f"film{SUFFIX}"
    some_landmarks(12, bodies=2).save(path)
    return path


def change(path: Path, name: str, content: bytes) -> None:
    """Write one member of a file anew."""
    with zipfile.ZipFile(path) as archive:
        members = {member: archive.read(member) for member in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for member, old in members.items():
            archive.writestr(member, content if member == name else old)


def test_what_was_saved_comes_back(saved: Path) -> None:
    landmarks, expected = read_landmarks(saved), some_landmarks(12, bodies=2)

    assert landmarks.info == expected.info == read_landmark_info(saved)
    for name in ("frames", "bodies", "picture", "world", "visibility", "scores"):
        np.testing.assert_array_equal(getattr(landmarks, name), getattr(expected, name))
    assert landmarks.body_numbers() == [1, 2]
    assert len(landmarks.of_body(2).frames) == 12


def test_nobody_can_be_saved(tmp_path: Path) -> None:
    path = tmp_path / f"none{SUFFIX}"

    some_landmarks().of_body(9).save(path)

    assert read_landmarks(path).body_numbers() == []


def test_a_file_is_known_by_name_and_content(saved: Path, tmp_path: Path) -> None:
    other = tmp_path / f"other{SUFFIX}"
    other.write_bytes(b"no archive")
    renamed = tmp_path / "film.npz"
    renamed.write_bytes(saved.read_bytes())

    assert is_landmark_file(saved)
    assert not is_landmark_file(other)
    assert not is_landmark_file(renamed)


def test_there_are_33_landmarks() -> None:
    assert len(set(LANDMARK_NAMES)) == 33
    assert LANDMARK_NAMES.index("left hip") == 23


@pytest.mark.parametrize(
    ("change_about", "said"),
    [
        ({"format": 2}, "format: expected 1, found 2|format: .*1"),
        ({"width": 0}, "width: "),
        ({"mirrored": "no"}, "mirrored: "),
        ({"surprise": 1}, "surprise: "),
        ({"num_frames": 3}, "frames: expected ascending numbers below 3"),
    ],
)
def test_another_description_is_refused(
    saved: Path, change_about: dict[str, Any], said: str
) -> None:
    with zipfile.ZipFile(saved) as archive:
        about = json.loads(archive.read("about.json"))
    change(saved, "about.json", json.dumps({**about, **change_about}).encode())

    with pytest.raises(DataError, match=said) as caught:
        read_landmarks(saved)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("name", "make", "said"),
    [
        ("world.npy", lambda: np.zeros((3, 33, 3), dtype=np.float32), "world: expected finite"),
        ("scores.npy", lambda: np.zeros(24), "scores.npy: expected float32, found float64"),
        ("frames.npy", lambda: np.int32(3), "frames.npy: expected int32"),
        ("bodies.npy", lambda: np.ones(24, dtype=np.int32), "expected each body once in a frame"),
        ("picture.npy", lambda: np.full((24, 33, 3), np.nan, dtype=np.float32), "finite numbers"),
    ],
)
def test_other_arrays_are_refused(
    saved: Path, tmp_path: Path, name: str, make: Callable[[], Any], said: str
) -> None:
    np.save(tmp_path / "other.npy", make())
    change(saved, name, (tmp_path / "other.npy").read_bytes())

    with pytest.raises(DataError, match=said):
        read_landmarks(saved)


def test_a_damaged_file_is_one_line(saved: Path) -> None:
    content = saved.read_bytes()
    saved.write_bytes(content[: len(content) // 2])

    with pytest.raises(DataError, match=r"film\.landmarks\.npz: expected a zip archive"):
        read_landmarks(saved)


def test_entries_must_ascend() -> None:
    landmarks = some_landmarks()

    with pytest.raises(DataError, match="expected ascending numbers below 10"):
        replace(landmarks, frames=landmarks.frames[::-1].copy())
