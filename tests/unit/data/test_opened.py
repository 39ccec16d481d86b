"""Clips that are ready for a network, wherever they lie."""

import pickle
from pathlib import Path

import numpy as np
import pytest
from prepared_files import npz_arrays, write_npy_pkl, write_npz
from tiny_clips import tiny_store

from skelab.data.clips.opened_clips import OpenedClips
from skelab.data.clips.store import ClipStore
from skelab.data.feeding.dataset import ClipDataset, pad_clips
from skelab.data.foreign import NpzClips
from skelab.data.opened import describe_format, holds_clips, open_clips
from skelab.errors import LayoutError, SourceError, StoreError

SKELETON = "S001C001P001R001A001.skeleton"


def npy_folder(folder: Path) -> Path:
    array = np.ones((2, 3, 30, 25, 2), np.float32)
    return write_npy_pkl(folder, {"val": array}, {"val": ["a", "b"]}, {"val": [0, 1]})


def test_a_store_an_npz_and_a_folder_of_arrays_are_opened_by_content(tmp_path: Path) -> None:
    paths = [
        tiny_store(tmp_path / "clips").path,
        write_npz(tmp_path / "plain.npz").rename(tmp_path / "arrays"),
        npy_folder(tmp_path / "folder"),
    ]

    opened = [open_clips(path) for path in paths]

    assert all(isinstance(clips, OpenedClips) for clips in opened)
    assert all(holds_clips(path) for path in paths)
    assert [describe_format(clips) for clips in opened] == [
        "clip store",
        "CTR-GCN npz, read in place",
        "MS-G3D npy and pkl, read in place",
    ]
    assert [clips.max_bodies for clips in opened] == [2, 2, 2]
    assert [len(clips.lengths()) for clips in opened] == [24, 10, 2]


def test_a_loader_reads_from_an_npz_as_from_a_store(tmp_path: Path) -> None:
    clips = open_clips(write_npz(tmp_path / "a.npz"))
    dataset = ClipDataset(clips, [2, 7])

    padded = pad_clips([dataset[0], dataset[1]], max_bodies=2)

    rows = np.concatenate([npz_arrays()["x_train"], npz_arrays()["x_test"]])[[2, 7]]
    wanted = rows.reshape(2, 20, 2, 25, 3)[:, :7].transpose(0, 4, 1, 3, 2)
    np.testing.assert_array_equal(padded.joints.numpy(), wanted)
    assert padded.valid == (7, 6)
    assert padded.labels.tolist() == [2, 1]


def test_clips_to_ignore_are_left_out_and_named(tmp_path: Path) -> None:
    whole = open_clips(write_npz(tmp_path / "a.npz"))

    some = open_clips(tmp_path / "a.npz", ignore=["test_0", "train_1", "nobody", "test_0"])

    assert len(some) == 8
    assert some.index.names[:2] == ("train_0", "train_2")
    assert some.index.parts[-1] == ("test",)
    np.testing.assert_array_equal(some.clip(1).joints, whole.clip(2).joints)
    assert some.clip(1).info.name == "train_2"
    assert some.lengths().tolist() == whole.lengths()[[0, 2, 3, 4, 5, 7, 8, 9]].tolist()
    assert [tuple(entry) for entry in some.info.excluded] == [
        ("test_0", "ignored", "test_0: stands in the list to ignore"),
        ("train_1", "ignored", "train_1: stands in the list to ignore"),
    ]
    assert some.info.digest != whole.info.digest
    assert some.max_bodies == 2
    assert describe_format(some) == describe_format(whole)
    copy = pickle.loads(pickle.dumps(some))  # noqa: S301
    np.testing.assert_array_equal(copy.clip(7).joints, whole.clip(9).joints)
    with pytest.raises(IndexError, match="row 8 of 8 clips"):
        some.clip(8)


def test_a_store_can_be_opened_without_some_clips(tmp_path: Path) -> None:
    tiny_store(tmp_path / "clips.arrow")

    some = open_clips(tmp_path / "clips.arrow", ignore=["clip000"])

    assert len(some) == 23


def test_a_list_that_ignores_everything_is_refused(tmp_path: Path) -> None:
    path = npy_folder(tmp_path)

    with pytest.raises(SourceError) as caught:
        open_clips(path, ignore=["a", "b"])

    assert str(caught.value) == f"{path}: no clip is left; all stand in the list to ignore"


def test_names_that_do_not_agree_are_told_and_the_rows_stay_without(tmp_path: Path) -> None:
    names = tmp_path / "names.txt"
    names.write_text("S001C001P001R001A001\nS001C001P003R001A002\n")
    said: list[str] = []

    clips = open_clips(write_npz(tmp_path / "a.npz"), names=names, on_note=said.append)

    assert isinstance(clips, NpzClips)
    assert clips.index.names[0] == "train_0"
    assert len(said) == 1
    assert said[0].startswith(
        f"{tmp_path / 'a.npz'}: the rows stay without names: expected names for 6 train and 4 test"
        " rows, found that 2 names give 1 train and 1 test in the order of xsub"
    )


@pytest.mark.parametrize("kind", ["store", "folder"])
def test_names_for_clips_that_have_some_are_refused(tmp_path: Path, kind: str) -> None:
    folder = tmp_path / "x"
    path = tiny_store(folder).path if kind == "store" else npy_folder(folder)

    with pytest.raises(SourceError) as caught:
        open_clips(path, names=tmp_path / "names.txt")

    assert str(caught.value) == (
        f"{path}: expected rows without names for --names, found rows with names"
    )


def test_recordings_are_sent_to_ingest(tmp_path: Path) -> None:
    (tmp_path / SKELETON).touch()

    with pytest.raises(SourceError) as caught:
        open_clips(tmp_path)

    assert not holds_clips(tmp_path)
    assert str(caught.value) == (
        f"{tmp_path}: expected clips that are prepared, found recordings;"
        f" `skelab ingest {tmp_path} STORE` makes a clip store of them"
    )


def test_what_is_nothing_of_that_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("hello")

    with pytest.raises(StoreError, match="expected a finished clip store, found another or half"):
        open_clips(path)
    with pytest.raises(LayoutError, match="unknown layout 'ntu24'"):
        open_clips(path, layout="ntu24")
    assert not holds_clips(tmp_path / "none")


def test_a_store_stays_a_store(tmp_path: Path) -> None:
    tiny_store(tmp_path / "clips.arrow")

    clips = open_clips(tmp_path / "clips.arrow")

    assert isinstance(clips, ClipStore)
