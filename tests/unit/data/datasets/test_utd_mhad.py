"""UTD-MHAD's MATLAB files."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from scipy.io import savemat
from shared_data import shared_data

from skelab.data.datasets import open_source
from skelab.data.datasets.utd_mhad import UTD_MHAD_CLASSES, UtdMhadSource
from skelab.data.preprocessing import get_pipeline
from skelab.errors import DataError

NAME = "a27_s8_t4_skeleton.mat"
EXPECTED = "expected d_skel of 20 joints x 3 axes x frames"


def test_a_file_becomes_one_body_in_every_frame(tmp_path: Path) -> None:
    joints = np.random.default_rng(0).normal(size=(20, 3, 7))
    savemat(tmp_path / NAME, {"d_skel": joints})
    source = UtdMhadSource(tmp_path)

    clip = source.read(source.items()[0])

    assert clip.actors_chosen
    assert clip.num_frames == 7
    assert_array_equal(clip.bodies["1"].joints, joints.transpose(2, 0, 1))
    assert_array_equal(clip.bodies["1"].frames, np.arange(7))


def test_the_name_says_action_subject_and_trial(tmp_path: Path) -> None:
    (tmp_path / NAME).touch()

    (item,) = UtdMhadSource(tmp_path).items()

    assert item.info.name == "a27_s8_t4"
    assert (item.info.label, item.info.subject, item.info.replication) == (26, 8, 4)
    assert item.info.camera is None
    assert len(UTD_MHAD_CLASSES) == 27


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("a28_s1_t1_skeleton.mat", "expected an action from 1 to 27, found 28"),
        ("a0_s1_t1_skeleton.mat", "expected an action from 1 to 27, found 0"),
        (
            "walk_skeleton.mat",
            "expected a name like a1_s1_t1_skeleton.mat, found another form",
        ),
    ],
)
def test_mis_named_files_are_listed_with_the_reason(tmp_path: Path, name: str, reason: str) -> None:
    (tmp_path / name).touch()

    source = UtdMhadSource(tmp_path)

    assert not source.items()
    assert list(source.rejected) == [(name, f"{name}: {reason}")]


@pytest.mark.parametrize(
    ("variables", "found"),
    [
        ({"skel": np.zeros((20, 3, 2))}, "found no variable of that name"),
        (
            {"d_skel": np.array(["a", "b"])},
            "found something that is not an array of real numbers",
        ),
        ({"d_skel": np.zeros((20, 3), complex)}, "found something that is not"),
        ({"d_skel": np.zeros((20, 3))}, "found the shape 20 x 3"),
        ({"d_skel": np.zeros((25, 3, 4))}, "found the shape 25 x 3 x 4"),
        ({"d_skel": np.zeros((20, 3, 0))}, "found the shape 20 x 3 x 0"),
    ],
)
def test_another_content_is_refused_with_what_was_found(
    tmp_path: Path, variables: dict[str, object], found: str
) -> None:
    savemat(tmp_path / NAME, variables)
    source = UtdMhadSource(tmp_path)

    with pytest.raises(DataError) as caught:
        source.read(source.items()[0])

    assert str(caught.value).startswith(f"{tmp_path / NAME}: {EXPECTED}, {found}")


def test_values_that_are_not_finite_are_counted(tmp_path: Path) -> None:
    joints = np.zeros((20, 3, 4))
    joints[3, 1, 2], joints[4, 0, 0] = np.nan, np.inf
    savemat(tmp_path / NAME, {"d_skel": joints})
    source = UtdMhadSource(tmp_path)

    with pytest.raises(DataError) as caught:
        source.read(source.items()[0])

    assert str(caught.value) == (
        f"{tmp_path / NAME}: {EXPECTED}, all finite, found 2 values that are not"
    )


def test_a_damaged_file_is_refused_wherever_it_is_cut(tmp_path: Path) -> None:
    savemat(tmp_path / NAME, {"d_skel": np.ones((20, 3, 30))}, do_compression=True)
    whole = (tmp_path / NAME).read_bytes()
    source = UtdMhadSource(tmp_path)
    item = source.items()[0]

    for length in range(0, len(whole), 3):
        (tmp_path / NAME).write_bytes(whole[:length])
        with pytest.raises(DataError) as caught:
            source.read(item)
        assert str(caught.value).startswith(f"{tmp_path / NAME}: expected")
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"\x00" * 200, b"\x89HDF\r\n\x1a\n" * 40, b"text" * 99])
def test_what_is_not_a_matlab_file_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / NAME).write_bytes(content)
    source = UtdMhadSource(tmp_path)

    with pytest.raises(DataError) as caught:
        source.read(source.items()[0])

    assert str(caught.value).startswith(f"{tmp_path / NAME}: expected ")


def test_a_file_that_went_away_is_named(tmp_path: Path) -> None:
    (tmp_path / NAME).touch()
    source = UtdMhadSource(tmp_path)
    item = source.items()[0]
    (tmp_path / NAME).unlink()

    with pytest.raises(DataError) as caught:
        source.read(item)

    assert str(caught.value) == (f"{tmp_path / NAME}: cannot be read: No such file or directory")


def test_all_431_genuine_files_are_read_and_prepared() -> None:
    source = open_source(shared_data("utd-mhad"))

    items = source.items()
    for item in items:
        clip = source.read(item)
        prepared = get_pipeline("ctrgcn").prepare(clip, source.layout)
        assert prepared.joints.shape == (1, clip.num_frames, 20, 3)

    assert source.kind == "utd-mhad"
    assert not source.rejected
    assert len(items) == 431
    assert set(Counter(item.info.subject for item in items)) == {1, 3, 5, 7}
    assert {item.info.label for item in items} == set(range(27))
