"""The authors' own files are read row for row, and their rows find their names again.

Origin of the arrays: Uason-Chen/CTR-GCN@e13d758 and kenziyuliu/MS-G3D@2f927f4, run on made-up
recordings.
"""

import hashlib
from pathlib import Path

import numpy as np
import pytest
from golden_kit import read_arrays, read_json
from numpy import ndarray
from prepared_files import CTRGCN, NAMES, golden_arrays, write_npy_pkl, write_npz

from skelab.data.clips.opened_clips import OpenedClips
from skelab.data.clips.store import open_store
from skelab.data.copying import copy_clips
from skelab.data.datasets import parse_split
from skelab.data.opened import open_clips
from skelab.data.preprocessing import pad_loop

BENCHMARKS = {"CS": "xsub", "CV": "xview"}
IGNORED = NAMES.with_name("ignored_samples.txt")


def padded(clips: OpenedClips, row: int, like: ndarray) -> ndarray:
    clip = clips.clip(row)
    made = np.zeros((len(like), 2, 25, 3), np.float32)
    made[: clip.num_frames, : clip.num_bodies] = clip.joints.swapaxes(0, 1)
    return made.reshape(like.shape)


def written(folder: Path, benchmark: str, form: str) -> Path:
    if form == "theirs":
        return CTRGCN / "NTU60_CS.npz"
    compressed = form == "compressed"
    return write_npz(folder / "a.npz", compressed=compressed, **golden_arrays(benchmark))


@pytest.mark.parametrize("benchmark", ["CS", "CV"])
def test_the_arrays_that_these_tests_read_are_the_authors(benchmark: str) -> None:
    wanted = read_json("preprocess/ctrgcn", "order")[benchmark]["sha256"]

    found = {
        name: hashlib.sha256(array.tobytes()).hexdigest()
        for name, array in golden_arrays(benchmark).items()
    }

    assert found == wanted


@pytest.mark.parametrize(
    ("benchmark", "form"),
    [("CS", "theirs"), ("CS", "mapped"), ("CV", "mapped"), ("CV", "compressed")],
)
def test_rows_are_named_as_the_authors_program_ordered_them(
    tmp_path: Path, benchmark: str, form: str
) -> None:
    order = read_json("preprocess/ctrgcn", "order")[benchmark]
    said: list[str] = []
    path = written(tmp_path, benchmark, form)

    clips = open_clips(path, names=NAMES, on_note=said.append)

    assert list(clips.index.names) == order["train"] + order["test"]
    assert said == [
        f"{path}: 61 rows named in the order of {BENCHMARKS[benchmark]}; every label agrees"
    ]
    train, test = parse_split(BENCHMARKS[benchmark]).rows(clips.index)
    assert (len(train), len(test)) == (len(order["train"]), len(order["test"]))
    given = parse_split("given").rows(clips.index)
    assert [rows.tolist() for rows in given] == [train.tolist(), test.tolist()]
    sample = clips.index.sample(5)
    assert sample.name[4:8] == f"C{sample.camera:03d}"
    assert sample.name[8:12] == f"P{sample.subject:03d}"


@pytest.mark.parametrize("benchmark", ["CS", "CV"])
def test_a_store_of_the_file_padded_again_is_the_file(tmp_path: Path, benchmark: str) -> None:
    arrays = golden_arrays(benchmark)
    rows = np.concatenate([arrays["x_train"], arrays["x_test"]])
    clips = open_clips(write_npz(tmp_path / "a.npz", compressed=False, **arrays), names=NAMES)

    copied = copy_clips(clips, tmp_path / "store.arrow", anatomy_check=False)

    store = open_store(tmp_path / "store.arrow")
    assert copied.num_clips == len(store) == 61
    assert store.info.pipeline == "ctrgcn"
    assert store.index.names == clips.index.names
    assert store.index.parts == clips.index.parts
    for row, like in enumerate(rows):
        np.testing.assert_array_equal(padded(store, row, like), like)


def test_names_are_taken_off_and_left_out_as_the_authors_list_says(tmp_path: Path) -> None:
    names = tmp_path / "all.txt"
    names.write_text(NAMES.read_text() + IGNORED.read_text())
    ignore = IGNORED.read_text().split()

    clips = open_clips(CTRGCN / "NTU60_CS.npz", names=names, ignore=ignore)

    assert clips.index.names[0] == read_json("preprocess/ctrgcn", "order")["CS"]["train"][0]
    assert not clips.info.excluded


def test_msg3d_arrays_come_back_by_their_own_padding(tmp_path: Path) -> None:
    arrays = read_arrays("preprocess/msg3d", "xsub_joint")
    about = read_json("preprocess/msg3d", "labels")["xsub"]
    joints = {part: arrays[f"{part}_data"] for part in ("train", "val")}
    names = {
        part: [name.removesuffix(".skeleton") for name in about[part]["sample_name"]]
        for part in joints
    }
    labels = {part: about[part]["label"] for part in joints}

    clips = open_clips(write_npy_pkl(tmp_path, joints, names, labels))

    assert clips.info.pipeline == "msg3d"
    assert clips.index.names == (*names["train"], *names["val"])
    stored = np.concatenate([joints["train"], joints["val"]])
    empty = 0
    for row, array in enumerate(stored):
        if not array.any():
            empty += 1
            continue
        np.testing.assert_array_equal(pad_loop(clips.clip(row).joints), array)
    assert empty <= 2
