"""The compiled reader of recordings: what it takes, and that it gives its twin's bits."""

import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from fuzz_skeleton_file import by_twin, outcome, same, seed_files
from shared_data import shared_data
from skeleton_text import a_pose, skeleton_text

from skelab.data.recordings.skeleton_file import parse_skeleton
from skelab.native import available, read_plain_poses
from skelab.native import skeleton_text as module
from skelab.synthetic import synthetic_file

GOLDEN = Path(__file__).parents[2] / "golden" / "preprocess" / "skeletons.tar.gz"
compiled = pytest.mark.skipif(not available(), reason="the compiled reader was not built")


def golden_files() -> Iterator[bytes]:
    with tarfile.open(GOLDEN) as archive:
        for member in archive:
            if member.name.endswith(".skeleton"):
                content = archive.extractfile(member)
                assert content is not None
                yield content.read()


def check_equal(content: bytes) -> None:
    """Both readers give the same recording to the last bit, or the same words."""
    assert same(outcome(partial(parse_skeleton, content, "a")), outcome(partial(by_twin, content)))


@compiled
def test_golden_recordings_come_out_as_from_the_twin() -> None:
    contents = list(golden_files())

    for content in contents:
        check_equal(content)

    assert len(contents) > 50
    assert sum(read_plain_poses(content) is not None for content in contents) > 50


@compiled
def test_genuine_recordings_come_out_as_from_the_twin() -> None:
    contents = [path.read_bytes() for path in sorted(shared_data("ntu-samples").iterdir())]

    for content in contents:
        assert read_plain_poses(content) is not None
        check_equal(content)
        check_equal(content.replace(b"\n", b"\r\n"))


@compiled
@pytest.mark.parametrize("action", [1, 27, 50, 58])
def test_synthetic_recordings_come_out_as_from_the_twin(action: int) -> None:
    content = synthetic_file(f"S001C002P003R001A{action:03d}")

    check_equal(content)

    assert read_plain_poses(content) is not None


@compiled
@pytest.mark.parametrize("number", range(len(seed_files())))
def test_numbers_are_read_as_python_reads_them_however_they_are_written(number: int) -> None:
    check_equal(seed_files()[number])


@compiled
@pytest.mark.parametrize(
    "text",
    [
        *["0", "-0", "-0.0", "7", "12.5", "0.1", "00001.5", "0.0000000000000001", "1E+5"],
        *["9007199254740993", "9007199254740991", "0.30000000000000004", "1e22", "1e-22"],
        *["123456789.123456789", "12345678.1234567890123456", "5e-324", "1.7976931348623157e308"],
        "2.2250738585072011e-308",
    ],
)
def test_a_coordinate_has_the_bits_that_float_gives_it(text: str) -> None:
    pose = np.full((25, 3), 0.5)
    content = skeleton_text([[("1", pose)]]).replace(b"0.5 0.5 0.5", f"0.5 {text} 0.5".encode(), 1)

    poses = read_plain_poses(content)

    assert poses is not None
    assert poses.joints[0, 0, 1].tobytes() == np.float64(float(text)).tobytes()


@compiled
def test_bodies_are_sorted_by_id_in_order_of_first_appearance() -> None:
    first, second = a_pose(1), a_pose(2)
    content = skeleton_text([[("9", first)], [], [("4", second), ("9", first)]])

    poses = read_plain_poses(content)

    assert poses is not None
    assert (poses.num_frames, poses.bodies, poses.sizes) == (3, ("9", "4"), (2, 1))
    assert poses.frames.tolist() == [0, 2, 2]
    assert poses.slots.tolist() == [0, 1, 0]
    assert (poses.tracking == 2).all()
    np.testing.assert_array_equal(poses.joints, [first, first, second])


@compiled
def test_what_was_read_can_be_changed_and_does_not_change_with_the_next_file() -> None:
    content = skeleton_text([[("9", a_pose(1))]])
    poses = read_plain_poses(content)
    assert poses is not None

    poses.joints[:] = 1
    again = read_plain_poses(content)

    assert again is not None
    assert (poses.joints == 1).all()
    np.testing.assert_array_equal(again.joints[0], a_pose(1))


@pytest.mark.parametrize(
    "change",
    [
        *[(b" ", b"  "), (b" ", b"\t"), (b"\n", b"\n\n"), (b"\n", b"\r"), (b"2", b"3")],
        *[(b"0.5", b".5"), (b"0.5", b"5."), (b"0.5", b"nan"), (b"0.5", b""), (b"0.5", b"--1")],
        *[(b"0.5", b"1.2.3"), (b"0.5", b"1e5e5"), (b"0.5", b"1e999"), (b"1\n", b"128\n")],
        *[(b"25", b"24"), (b"25", b"025")],
    ],
    ids=str,
)
def test_anything_unusual_or_wrong_is_left_to_the_twin(change: tuple[bytes, bytes]) -> None:
    content = skeleton_text([[("1", np.full((25, 3), 0.5))]], "\n")
    changed = content.replace(*change) if change[0] == b"2" else content.replace(*change, 1)

    poses = read_plain_poses(changed)

    assert poses is None
    check_equal(changed)


@pytest.mark.parametrize(
    "content", [b"", b"\n", b"0\n", b"1\n0\n", b"1", b"2\n0\n0\n0\n", b"\r\n" * 70]
)
def test_a_file_without_a_body_is_left_to_the_twin(content: bytes) -> None:
    assert read_plain_poses(content) is None
    check_equal(content)


@compiled
def test_a_file_that_ends_early_is_left_to_the_twin_wherever_it_ends() -> None:
    content = skeleton_text([[("1", a_pose())]], "\n").rstrip()

    for length in range(len(content) - 1):
        assert read_plain_poses(content[:length]) is None


@compiled
def test_more_ids_than_are_searched_one_by_one_are_left_to_the_twin() -> None:
    content = skeleton_text([[(str(frame), a_pose())] for frame in range(1001)])

    assert read_plain_poses(content) is None
    assert len(parse_skeleton(content, "a").bodies) == 1001


def test_without_a_compiler_the_twin_reads_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    content = synthetic_file("S001C002P003R001A050")
    usual = parse_skeleton(content, "a")

    monkeypatch.setattr(module, "_compiled", None)

    assert not available()
    assert read_plain_poses(content) is None
    assert same(parse_skeleton(content, "a"), usual)


@pytest.mark.slow
def test_without_a_compiler_the_package_is_built_all_the_same(
    repository: Path, tmp_path: Path
) -> None:
    for name in ("setup.py", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(repository / name, tmp_path)
    skip = shutil.ignore_patterns("*.so", "__pycache__", "*.egg-info")
    shutil.copytree(repository / "src", tmp_path / "src", ignore=skip)
    nobody = {"CC": "/bin/false", "CXX": "/bin/false"}

    done = subprocess.run(
        [sys.executable, "setup.py", "build", "--build-lib", "built"],
        cwd=tmp_path,
        env={**os.environ, **nobody},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert (tmp_path / "built" / "skelab" / "native" / "skeleton_text.py").exists()
    assert not list(tmp_path.rglob("*.so"))
