"""What `skelab convert` writes against the files that the authors' programs wrote.

Origin: as in ``test_preprocessing.py``. The raw files go the whole way: ingest, store, convert.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from golden_files import PREPROCESS, unpack
from numpy import ndarray

from skelab.data.convert import convert
from skelab.data.datasets import open_source
from skelab.data.ingest import ingest
from skelab.data.opened import open_clips
from skelab.data.recordings.ignore_list import read_ignore_list
from skelab.errors import DataError
from skelab.files.plain_pickle import load_plain_pickle

ORDER = json.loads((PREPROCESS / "ctrgcn" / "order.json").read_text())
LABELS = json.loads((PREPROCESS / "msg3d" / "labels.json").read_text())["xsub"]


def sha256(array: ndarray[Any, Any]) -> str:
    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The 63 files, ingested by both of the authors' pipelines."""
    folder = tmp_path_factory.mktemp("golden")
    (folder / "raw").mkdir()
    source = open_source(unpack(folder / "raw"))
    ignore = read_ignore_list(PREPROCESS / "ignored_samples.txt")
    made = {}
    for name in ("ctrgcn", "msg3d"):
        made[name] = folder / f"{name}.arrow"
        ingest(source, made[name], pipeline=name, workers=1, ignore=ignore)
    return made


@pytest.mark.parametrize(("key", "split"), [("CS", "xsub"), ("CV", "xview")])
def test_the_npz_of_ctrgcn_is_the_authors_number_for_number(
    stores: dict[str, Path], tmp_path: Path, key: str, split: str
) -> None:
    out = tmp_path / f"NTU60_{key}.npz"

    done = convert(open_clips(stores["ctrgcn"]), out, to="ctrgcn", splits=[split])

    with np.load(out) as written:
        assert written.files == ["x_train", "y_train", "x_test", "y_test"]
        for name in written.files:
            array = written[name]
            assert [list(array.shape), str(array.dtype)] == ORDER[key]["shapes"][name]
            assert sha256(array) == ORDER[key]["sha256"][name]
    assert done.counts == {part: len(ORDER[key][part]) for part in ("train", "test")}
    assert done.left_over == 0


def test_the_npz_of_cross_subject_equals_the_stored_one(
    stores: dict[str, Path], tmp_path: Path
) -> None:
    convert(open_clips(stores["ctrgcn"]), tmp_path / "CS.npz", to="ctrgcn", splits=["xsub"])

    with (
        np.load(tmp_path / "CS.npz") as ours,
        np.load(PREPROCESS / "ctrgcn" / "NTU60_CS.npz") as theirs,
    ):
        assert sorted(ours.files) == sorted(theirs.files)
        for name in theirs.files:
            np.testing.assert_array_equal(ours[name], theirs[name], strict=True)


@pytest.mark.parametrize("part", ["train", "val"])
def test_the_arrays_names_and_labels_of_msg3d_are_the_authors(
    stores: dict[str, Path], tmp_path: Path, part: str
) -> None:
    convert(open_clips(stores["msg3d"]), tmp_path, to="msg3d", splits=["xsub"])

    names, labels = load_plain_pickle(tmp_path / f"{part}_label.pkl", DataError)
    joints = np.load(tmp_path / f"{part}_data_joint.npy", mmap_mode="r")
    bones = np.load(tmp_path / f"{part}_data_bone.npy", mmap_mode="r")
    with np.load(PREPROCESS / "msg3d" / "xsub_joint.npz") as stored:
        theirs = stored[f"{part}_data"]
    ours = [row for row, name in enumerate(LABELS[part]["sample_name"]) if name in set(names)]
    lost = set(range(len(theirs))) - set(ours)
    assert list(names) == [LABELS[part]["sample_name"][row] for row in ours]
    assert list(labels) == [LABELS[part]["label"][row] for row in ours]
    assert joints.dtype == bones.dtype == np.float32
    np.testing.assert_allclose(joints, theirs[ours], rtol=0, atol=2e-6)
    parents = list(open_clips(stores["msg3d"]).info.layout.parents)
    np.testing.assert_array_equal(bones, joints - joints[:, :, :, parents])
    assert all(not theirs[row].any() for row in lost)  # the one without a body, which they keep
