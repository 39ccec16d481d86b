"""From recording to clip by compiled code: the twin's bits, or the twin's decision."""

import tarfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from shared_data import shared_data
from skeleton_text import a_pose, skeleton_text

from skelab.data.preprocessing import get_pipeline
from skelab.data.recordings.skeleton_file import parse_skeleton
from skelab.errors import DataError
from skelab.native import can_prepare, prepare_recordings
from skelab.native import ctrgcn as module
from skelab.skeleton import get_layout
from skelab.synthetic import synthetic_file

GOLDEN = Path(__file__).parents[2] / "golden" / "preprocess" / "skeletons.tar.gz"
NTU25 = get_layout("ntu25")
compiled = pytest.mark.skipif(not can_prepare(), reason="the kernel was not built")


def prepared_by_twin(content: bytes) -> tuple[tuple[int, ...], bytes, list[int]]:
    """Shape and bytes of the joints, and the frame numbers, by numpy and Python."""
    prepared = get_pipeline("ctrgcn").prepare(parse_skeleton(content, "a"), NTU25)
    return prepared.joints.shape, prepared.joints.tobytes(), prepared.frame_numbers.tolist()


def check_all_equal(contents: Sequence[bytes]) -> int:
    """Recordings come out as the twin makes them, or are its to refuse; how many came out."""
    found = prepare_recordings(contents, NTU25.origin)
    for arrays, content in zip(found, contents, strict=True):
        if arrays is None:
            with pytest.raises(DataError):
                prepared_by_twin(content)
            continue
        joints, numbers = arrays
        assert (joints.shape, joints.tobytes(), numbers.tolist()) == prepared_by_twin(content)
    return sum(arrays is not None for arrays in found)


@compiled
def test_golden_recordings_come_out_as_from_the_twin() -> None:
    with tarfile.open(GOLDEN) as archive:
        members = [member for member in archive if member.name.endswith(".skeleton")]
        files = [archive.extractfile(member) for member in members]
        contents = [file.read() for file in files if file is not None]

    prepared = check_all_equal(contents)

    assert prepared > 50


@compiled
def test_genuine_recordings_come_out_as_from_the_twin() -> None:
    contents = [path.read_bytes() for path in sorted(shared_data("ntu-samples").iterdir())]

    prepared = check_all_equal(contents)

    assert prepared == len(contents) > 0


@compiled
def test_synthetic_recordings_come_out_as_from_the_twin_one_or_many_at_a_time() -> None:
    names = [f"S001C002P{subject:03d}R001A050" for subject in (1, 2, 3)]
    contents = [synthetic_file(name) for name in names]

    prepared = [check_all_equal(some) for some in (contents, contents[:1], [])]

    assert prepared == [3, 1, 0]


@compiled
def test_a_file_comes_out_as_its_content_does(tmp_path: Path) -> None:
    content = synthetic_file("S001C002P003R001A055")
    path = tmp_path / "änderung.skeleton"
    path.write_bytes(content)

    from_file, from_text = prepare_recordings([str(path), content], NTU25.origin)

    assert from_file is not None
    assert from_text is not None
    np.testing.assert_array_equal(from_file[0], from_text[0])
    np.testing.assert_array_equal(from_file[1], from_text[1])


@compiled
def test_another_origin_is_taken() -> None:
    content = skeleton_text([[("7", a_pose())]])

    ((joints, _),) = [arrays for arrays in prepare_recordings([content], 20) if arrays]

    assert (joints[0, 0, 20] == 0).all()


def two_bodies(frames: int) -> bytes:
    return skeleton_text([[("1", a_pose(1)), ("2", a_pose(2))]] * frames)


@compiled
@pytest.mark.parametrize(
    "content",
    [
        *[b"", b"1\n0\n", b"\xff\xfe", b"1\n1\n", two_bodies(12)[:-9]],
        two_bodies(11),  # bodies that are too short
        skeleton_text([[("1", a_pose() * 0)]]),  # a body of zeros
        skeleton_text([[("1", a_pose()), ("1", a_pose())]]),  # one body, twice in one frame
        skeleton_text([[("1", a_pose() * 1e7)]]),  # a body at another place in the sky
    ],
    ids=["empty", "nobody", "bytes", "cut", "half", "short", "zeros", "twice", "far"],
)
def test_whatever_is_unusual_is_left_to_the_twin_and_disturbs_no_other(content: bytes) -> None:
    sound = two_bodies(12)

    found = prepare_recordings([sound, content, None, sound], NTU25.origin)

    assert [arrays is None for arrays in found] == [False, True, True, False]
    assert found[0] is not None
    assert found[3] is not None
    assert found[0][0].tobytes() == found[3][0].tobytes() == prepared_by_twin(sound)[1]


@compiled
def test_a_file_that_is_not_there_is_left_to_the_twin(tmp_path: Path) -> None:
    found = prepare_recordings([str(tmp_path / "a.skeleton"), str(tmp_path)], NTU25.origin)

    assert found == [None, None]


@compiled
@pytest.mark.parametrize("origin", [-1, 25])
def test_an_origin_that_is_no_joint_is_refused(origin: int) -> None:
    with pytest.raises(ValueError, match="the origin is not one of the joints"):
        prepare_recordings([two_bodies(12)], origin)


def test_without_a_compiler_the_twin_decides_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_compiled", None)

    found = prepare_recordings([two_bodies(12), None], NTU25.origin)

    assert found == [None, None]
    assert not can_prepare()


def test_the_twin_refuses_what_it_has_to_decide() -> None:
    with pytest.raises(DataError, match="expected a body of at least 12 frames"):
        prepared_by_twin(two_bodies(11))
