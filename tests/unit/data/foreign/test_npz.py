"""CTR-GCN's npz, read where it lies."""

import os
import pickle
import shutil
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy import ndarray
from prepared_files import npz_arrays, one_hot, padded_rows, write_npz

from skelab.data.clips.clip import Clip
from skelab.data.datasets.ntu import SYNTHETIC_MARKER
from skelab.data.foreign import NpzClips, is_npz, open_npz
from skelab.data.foreign.rows import DeflatedRows, StoredRows
from skelab.data.recordings import NTU60_CLASSES, NTU120_CLASSES
from skelab.errors import DataError, NoBodyError, SourceError
from skelab.skeleton import get_layout


def padded(clip: Clip, row: ndarray) -> ndarray:
    """The clip laid out as the row of the file was."""
    made = np.zeros((len(row), row.shape[1] // 75, 25, 3), row.dtype)
    made[: clip.num_frames, : clip.num_bodies] = clip.joints.swapaxes(0, 1)
    return made.reshape(row.shape)


def refusal(path: Path) -> str:
    with pytest.raises(SourceError) as caught:
        open_npz(path)
    return str(caught.value)


@pytest.mark.parametrize("compressed", [False, True])
def test_every_row_comes_back_as_it_was_in_any_order(tmp_path: Path, compressed: bool) -> None:
    arrays = npz_arrays()
    rows = np.concatenate([arrays["x_train"], arrays["x_test"]])

    clips = open_npz(write_npz(tmp_path / "a.npz", compressed=compressed))

    assert len(clips) == 10
    assert clips.max_bodies == 2
    for row in (3, 9, 0, 1, 8, 2, 2, 7, 4, 6, 5):
        np.testing.assert_array_equal(padded(clips.clip(row), rows[row]), rows[row])


def test_padding_and_absent_bodies_are_left_out(tmp_path: Path) -> None:
    clips = open_npz(write_npz(tmp_path / "a.npz"))

    sizes = [clips.clip(row).joints.shape[:2] for row in range(4)]

    assert sizes == [(1, 5), (1, 6), (2, 7), (1, 8)]
    assert clips.lengths().tolist()[:4] == [5, 6, 7, 8]
    assert clips.widths().tolist()[:4] == [1, 1, 2, 1]


def test_frames_of_zeros_inside_a_clip_stay(tmp_path: Path) -> None:
    x = padded_rows(6)
    x[0, 2] = 0.0
    clips = open_npz(write_npz(tmp_path / "a.npz", x_train=x))

    clip = clips.clip(0)

    assert clip.num_frames == 5
    assert not clip.joints[:, 2].any()


def test_rows_are_called_as_the_authors_feeder_calls_them(tmp_path: Path) -> None:
    clips = open_npz(write_npz(tmp_path / "a.npz"))

    index = clips.index

    assert index.names[:2] + index.names[6:8] == ("train_0", "train_1", "test_0", "test_1")
    assert index.labels.tolist() == [0, 1, 2, 0, 1, 2, 0, 1, 2, 0]
    assert index.parts == (("train",),) * 6 + (("test",),) * 4
    assert set(index.subjects.tolist()) == {-1}


def test_the_description_says_how_the_clips_were_prepared(tmp_path: Path) -> None:
    plain = open_npz(write_npz(tmp_path / "a.npz"))
    moved = open_npz(write_npz(tmp_path / "b.npz", x_train=padded_rows(6) + np.float32(0.5)))

    assert (plain.info.pipeline, plain.info.dataset, plain.info.units) == (
        "ctrgcn",
        "ntu",
        "metres",
    )
    assert moved.info.pipeline == "as-given"
    assert plain.info.digest != moved.info.digest
    assert not plain.info.synthetic
    assert plain.form == "CTR-GCN npz, read in place"


@pytest.mark.parametrize(
    ("labels", "classes"),
    [
        (one_hot([0, 1, 2, 0, 1, 59]), NTU60_CLASSES),
        (one_hot([0, 1, 2, 0, 1, 119], 120), NTU120_CLASSES),
        (one_hot([0, 1, 2, 0, 1, 2], 3), ("class 0", "class 1", "class 2")),
        (np.array([0, 1, 2, 0, 1, 2]), NTU60_CLASSES),
        (np.array([0.0, 1.0, 2.0, 0.0, 1.0, 60.0]), NTU120_CLASSES),
        (np.array([0, 1, 2, 0, 1, 200], np.uint8), tuple(f"class {k}" for k in range(201))),
    ],
)
def test_labels_are_read_in_any_form(
    tmp_path: Path, labels: ndarray, classes: tuple[str, ...]
) -> None:
    path = write_npz(tmp_path / "a.npz", y_train=labels, x_test=None, y_test=None)

    clips = open_npz(path)

    wanted = labels.argmax(axis=1) if labels.ndim == 2 else labels.astype(int)
    assert clips.index.labels.tolist() == wanted.tolist()
    assert clips.info.classes == classes


@pytest.mark.parametrize("kind", ["<f8", ">f4", "<f2"])
def test_coordinates_of_another_type_become_float32(tmp_path: Path, kind: str) -> None:
    x = padded_rows(6).astype(kind)
    clips = open_npz(write_npz(tmp_path / "a.npz", x_train=x))

    joints = clips.clip(2).joints

    assert joints.dtype == np.float32
    np.testing.assert_array_equal(padded(clips.clip(2), x[2].astype(np.float32)), x[2])


def test_one_body_or_another_layout_can_be_read(tmp_path: Path) -> None:
    one = open_npz(write_npz(tmp_path / "a.npz", x_train=padded_rows(6, columns=75), x_test=None))
    kinect = open_npz(
        write_npz(tmp_path / "b.npz", x_train=padded_rows(6, columns=120), x_test=None),
        layout=get_layout("kinect20"),
    )

    assert one.max_bodies == 1
    assert kinect.max_bodies == 2
    assert kinect.clip(2).joints.shape[2:] == (20, 3)
    assert kinect.info.dataset == "npz"


def test_an_archive_that_says_so_is_synthetic(tmp_path: Path) -> None:
    path = write_npz(tmp_path / "a.npz")
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(SYNTHETIC_MARKER, "{}")

    clips = open_npz(path)

    assert clips.info.synthetic


@pytest.mark.parametrize("compressed", [False, True])
def test_clips_can_be_pickled_before_and_after_they_were_read(
    tmp_path: Path, compressed: bool
) -> None:
    clips = open_npz(write_npz(tmp_path / "a.npz", compressed=compressed))
    before = pickle.dumps(clips)
    wanted = clips.clip(7).joints

    copies = [pickle.loads(data) for data in (before, pickle.dumps(clips))]  # noqa: S301

    for copy in copies:
        assert isinstance(copy, NpzClips)
        np.testing.assert_array_equal(copy.clip(7).joints, wanted)


def test_a_row_that_is_not_there_is_an_index_error(tmp_path: Path) -> None:
    clips = open_npz(write_npz(tmp_path / "a.npz"))

    for row in (-1, 10):
        with pytest.raises(IndexError, match=f"row {row} of 10 clips"):
            clips.clip(row)


def test_a_value_that_is_not_finite_is_named(tmp_path: Path) -> None:
    x = padded_rows(6)
    x[4, 1, 7] = np.nan
    path = write_npz(tmp_path / "a.npz", x_train=x)
    clips = open_npz(path)

    with pytest.raises(DataError) as caught:
        clips.clip(4)

    assert str(caught.value) == (
        f"{path}: x_train, row 4 (train_4): expected finite coordinates, found 1 values that are"
        " not; `skelab ingest` leaves such clips out"
    )
    assert clips.lengths().tolist()[4] == 0


def test_a_row_of_zeros_has_no_body(tmp_path: Path) -> None:
    x = padded_rows(6)
    x[4] = 0.0
    path = write_npz(tmp_path / "a.npz", x_train=x)
    clips = open_npz(path)

    with pytest.raises(NoBodyError) as caught:
        clips.clip(4)

    assert str(caught.value) == (
        f"{path}: x_train, row 4 (train_4): expected a body in at least one frame, found only"
        " zeros; `skelab ingest` leaves such clips out"
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"x_train": np.zeros((6, 20, 151), "f4")},
            "x_train: expected clips x frames x 75 or 150 columns (layout ntu25), found"
            " 6 x 20 x 151; --layout NAME for other joints",
        ),
        (
            {"x_train": np.zeros((6, 3, 300, 25, 2), "f4")},
            "x_train: expected clips x frames x 75 or 150 columns (layout ntu25), found"
            " 6 x 3 x 300 x 25 x 2; --layout NAME for other joints",
        ),
        (
            {"x_train": np.zeros((6, 20, 150), int)},
            "x_train: expected coordinates as floats, found int64",
        ),
        (
            {"x_train": np.array([None] * 6)},
            "x_train: expected an array of numbers, found one of Python objects, which could run"
            " code; it was not loaded",
        ),
        (
            {"x_train": np.array(["text"] * 6)},
            "x_train: expected an array of numbers, found one of <U4",
        ),
        (
            {"x_train": np.asfortranarray(padded_rows(6))},
            "x_train: expected rows one after the other, found columns (Fortran order);"
            " numpy.ascontiguousarray turns it round",
        ),
        (
            {"y_train": None},
            "y_train: expected the labels of x_train, found no array of that name",
        ),
        (
            {"x_train": None, "x_test": None},
            "expected the arrays x_train or x_test, found y_test.npy, y_train.npy",
        ),
        (
            {"y_train": one_hot([0] * 5)},
            "x_train: expected a label for each of 6 rows, found 5",
        ),
        (
            {"y_train": np.zeros((6, 60))},
            "y_train, row 0: expected a single 1 among 60 columns, found [0. 0. ... 0. 0.]",
        ),
        (
            {"y_train": one_hot([0] * 6) + np.eye(6, 60)[::-1]},
            "y_train, row 0: expected a single 1 among 60 columns, found [1. 0. ... 0. 0.]",
        ),
        (
            {"y_train": np.array([0, 1, 2, -1, 0, 0])},
            "y_train, row 3: expected a whole number from 0, found -1",
        ),
        (
            {"y_train": np.array([0, 1, 2, 0, 0.5, 0])},
            "y_train, row 4: expected a whole number from 0, found 0.5",
        ),
        (
            {"y_train": np.array([0, 1, 2, 0, 0, np.nan])},
            "y_train, row 5: expected a whole number from 0, found nan",
        ),
        (
            {"y_train": np.zeros((6, 1, 60))},
            "y_train: expected one label a row, as a number or one-hot, found the shape 6 x 1 x 60",
        ),
        (
            {"y_train": np.zeros((6, 0))},
            "y_train: expected one-hot labels, found rows without a column",
        ),
        ({"y_test": one_hot([0] * 4, 120)}, "expected train and test of one form, found two"),
        ({"x_test": padded_rows(4, columns=75)}, "expected train and test of one form, found two"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    path = write_npz(tmp_path / "a.npz", **changes)

    assert refusal(path) == f"{path}: {message}"


def test_a_file_that_was_cut_off_is_refused(tmp_path: Path) -> None:
    path = write_npz(tmp_path / "a.npz")
    path.write_bytes(path.read_bytes()[:-100])

    message = refusal(path)

    assert message.startswith(f"{path}: expected a zip archive, found one that is damaged or was")
    assert not is_npz(path)


def test_a_member_that_is_shorter_than_its_array_is_refused(tmp_path: Path) -> None:
    path = write_npz(tmp_path / "a.npz")
    short = tmp_path / "b.npz"
    with zipfile.ZipFile(path) as whole, zipfile.ZipFile(short, "w") as archive:
        for name in whole.namelist():
            archive.writestr(name, whole.read(name)[:-4])

    message = refusal(short)

    assert message == (
        f"{short}: x_train: expected 72,128 bytes for an array of 6 x 20 x 150, found 72,124:"
        " the file is damaged"
    )


@pytest.mark.parametrize("compressed", [False, True])
def test_a_changed_byte_is_found_when_all_rows_were_read_in_order(
    tmp_path: Path, compressed: bool
) -> None:
    many = {"x_train": padded_rows(20), "y_train": np.zeros(20)}
    path = write_npz(tmp_path / "a.npz", compressed=compressed, **many, x_test=None)
    data = bytearray(path.read_bytes())
    data[5000] ^= 0x10
    path.write_bytes(data)

    with pytest.raises(SourceError, match="damaged"):
        open_npz(path).lengths()


def test_an_encrypted_or_foreign_compression_is_refused(tmp_path: Path) -> None:
    path = write_npz(tmp_path / "a.npz")
    packed = tmp_path / "b.npz"
    with zipfile.ZipFile(path) as whole, zipfile.ZipFile(packed, "w", zipfile.ZIP_LZMA) as archive:
        for name in whole.namelist():
            archive.writestr(name, whole.read(name))
    locked = Path(shutil.copy(path, tmp_path / "c.npz"))
    data = bytearray(locked.read_bytes())
    data[data.index(b"PK\x01\x02") + 8] |= 1
    locked.write_bytes(data)

    assert "found compression 14" in refusal(packed)
    assert "expected a plain member, found an encrypted one; unpack it" in refusal(locked)


def test_a_member_is_found_behind_a_header_of_any_length(tmp_path: Path) -> None:
    path = write_npz(tmp_path / "a.npz")
    padded_archive = tmp_path / "b.npz"
    with zipfile.ZipFile(path) as whole, zipfile.ZipFile(padded_archive, "w") as archive:
        for name in whole.namelist():
            member = zipfile.ZipInfo(name)
            member.extra = b"\xff\xff\x05\x00hello"
            archive.writestr(member, whole.read(name))
    padded_archive.write_bytes(b"in front of the archive" + padded_archive.read_bytes())

    clips = open_npz(padded_archive)

    np.testing.assert_array_equal(clips.clip(8).joints, open_npz(path).clip(8).joints)


def test_compressed_rows_are_inflated_from_the_nearest_known_place(tmp_path: Path) -> None:
    x = padded_rows(1200, columns=75)
    path = write_npz(
        tmp_path / "a.npz", compressed=True, x_train=x, y_train=np.zeros(1200), x_test=None
    )
    rows = open_npz(path).parts[0].rows
    assert isinstance(rows, DeflatedRows)

    for number in (1199, 3, 700, 699, 1199, 0, 1):
        np.testing.assert_array_equal(rows.row(number), x[number])

    assert len(rows._places) == 400


def test_a_file_that_was_written_to_since_it_was_opened_is_refused(tmp_path: Path) -> None:
    path = write_npz(tmp_path / "a.npz")
    rows = open_npz(path).parts[0].rows
    assert isinstance(rows, StoredRows)
    again = [rows.row(number) for number in (0, 1, 0)]
    np.testing.assert_array_equal(again[0], again[2])

    os.utime(path, ns=(0, 0))  # as a copy onto it does

    with pytest.raises(SourceError, match=r"a\.npz: was written to while it was read"):
        rows.row(0)


def test_a_file_that_became_shorter_is_refused(tmp_path: Path) -> None:
    path = write_npz(tmp_path / "a.npz")
    clips = pickle.loads(pickle.dumps(open_npz(path)))  # noqa: S301
    path.write_bytes(path.read_bytes()[:1000])

    with pytest.raises(SourceError, match="the file has become shorter since it was opened"):
        clips.clip(0)


@pytest.mark.parametrize("name", ["a.npz", "renamed.bin"])
def test_the_file_is_known_by_its_content(tmp_path: Path, name: str) -> None:
    path = write_npz(tmp_path / "plain.npz").rename(tmp_path / name)

    assert is_npz(path)
    assert not is_npz(tmp_path / "none")
    assert not is_npz(tmp_path)
