"""Arrays with names and labels in a pickle beside them, as MS-G3D and its kin write them."""

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from jaxtyping import Float32
from numpy import ndarray
from prepared_files import Attack, write_npy_pkl

from skelab.data.datasets.ntu import SYNTHETIC_MARKER
from skelab.data.foreign import NpyClips, is_npy_pkl, open_npy_pkl
from skelab.data.preprocessing import pad_loop
from skelab.data.recordings import NTU60_CLASSES
from skelab.errors import DataError, NoBodyError, SourceError

NAMES = {
    "train": ["S001C001P001R001A001", "S001C002P001R001A002", "S001C001P002R001A001"],
    "val": ["S001C001P003R001A002"],
}
LABELS = {"train": [0, 1, 0], "val": [1]}


def looped(frames: int, bodies: int = 1, seed: int = 0) -> Float32[ndarray, "C T V M"]:
    """A clip as MS-G3D leaves it: the spine of body 1 at zero, repeated to 300 frames."""
    rng = np.random.default_rng(seed)
    joints = rng.normal(0.0, 0.3, size=(bodies, frames, 25, 3)).astype(np.float32)
    joints[0, :, 1] = 0.0
    return pad_loop(joints)


def arrays() -> dict[str, Float32[ndarray, "N C T V M"]]:
    return {
        "train": np.stack([looped(40), looped(300, seed=1), looped(52, bodies=2, seed=2)]),
        "val": np.stack([looped(7, seed=3)]),
    }


def written(folder: Path, **changes: Any) -> Path:
    given: dict[str, Any] = {"joints": arrays(), "names": NAMES, "labels": LABELS, **changes}
    return write_npy_pkl(folder, **given)


def refusal(path: Path) -> str:
    with pytest.raises(SourceError) as caught:
        open_npy_pkl(path)
    return str(caught.value)


def test_one_period_is_given_and_repeats_to_the_whole_array(tmp_path: Path) -> None:
    stored = np.concatenate(list(arrays().values()))

    clips = open_npy_pkl(written(tmp_path / "xsub"))

    assert clips.info.pipeline == "msg3d"
    assert clips.lengths().tolist() == [40, 300, 52, 7]
    assert clips.widths().tolist() == [1, 1, 2, 1]
    assert clips.max_bodies == 2
    for row, array in enumerate(stored):
        np.testing.assert_array_equal(pad_loop(clips.clip(row).joints), array)


def test_bodies_that_loop_with_periods_of_their_own_are_given_whole(tmp_path: Path) -> None:
    both = looped(30, bodies=2)
    both[..., 1] = looped(22, seed=5)[..., 0]

    clips = open_npy_pkl(write_npy_pkl(tmp_path, {"val": both[None]}, NAMES, LABELS))

    np.testing.assert_array_equal(clips.clip(0).joints, both.transpose(3, 1, 2, 0))


def test_padding_with_zeros_is_left_out_where_nobody_was_centred(tmp_path: Path) -> None:
    raw = np.zeros((2, 3, 300, 25, 2), np.float32)
    raw[0, :, :33, :, 0] = 1.5
    raw[1, :, :300, :, :] = 2.5
    joints, names, labels = {"train": raw}, {"train": ["a", "b"]}, {"train": [0, 4]}

    clips = open_npy_pkl(write_npy_pkl(tmp_path, joints, names, labels, stream=""))

    assert clips.info.pipeline == "as-given"
    assert clips.info.dataset == "npy-pkl"
    assert clips.info.classes == tuple(f"class {label}" for label in range(5))
    assert [clips.clip(row).joints.shape[:2] for row in range(2)] == [(1, 33), (2, 300)]


def test_names_labels_and_parts_come_from_the_pickle(tmp_path: Path) -> None:
    clips = open_npy_pkl(written(tmp_path))

    index = clips.index

    assert index.names == (*NAMES["train"], *NAMES["val"])
    assert index.labels.tolist() == [0, 1, 0, 1]
    assert index.subjects.tolist() == [1, 1, 2, 3]
    assert index.cameras.tolist() == [1, 2, 1, 1]
    assert index.parts == (("train",),) * 3 + (("val",),)
    assert (clips.info.dataset, clips.info.classes) == ("ntu", NTU60_CLASSES)
    assert clips.form == "MS-G3D npy and pkl, read in place"


@pytest.mark.parametrize(
    ("joints", "axes", "layout"), [(18, 3, "openpose18"), (17, 3, "coco17"), (25, 3, "ntu25")]
)
def test_the_layout_goes_by_the_number_of_joints(
    tmp_path: Path, joints: int, axes: int, layout: str
) -> None:
    array = np.ones((1, axes, 30, joints, 2), np.float32)

    clips = open_npy_pkl(write_npy_pkl(tmp_path, {"val": array}, {"val": ["a"]}, {"val": [2]}))

    assert clips.info.layout.name == layout
    assert clips.clip(0).joints.shape == (2, 30, joints, axes)


def test_a_marker_beside_the_arrays_says_that_they_are_synthetic(tmp_path: Path) -> None:
    (written(tmp_path) / SYNTHETIC_MARKER).touch()

    clips = open_npy_pkl(tmp_path)

    assert clips.info.synthetic


def test_clips_can_be_pickled(tmp_path: Path) -> None:
    clips = open_npy_pkl(written(tmp_path))
    clips.clip(0)

    copy = pickle.loads(pickle.dumps(clips))  # noqa: S301

    assert isinstance(copy, NpyClips)
    np.testing.assert_array_equal(copy.clip(3).joints, clips.clip(3).joints)


def test_the_digest_follows_the_content(tmp_path: Path) -> None:
    first, second = written(tmp_path / "a"), written(tmp_path / "b")
    same = open_npy_pkl(first).info.digest == open_npy_pkl(second).info.digest
    other = arrays()
    other["val"][0, 0, 3, 4, 0] += 1

    third = open_npy_pkl(written(tmp_path / "c", joints=other))

    assert same
    assert third.info.digest != open_npy_pkl(first).info.digest


def test_a_pickle_that_would_run_code_is_refused_and_does_not_run(tmp_path: Path) -> None:
    labels = written(tmp_path) / "val_label.pkl"
    labels.write_bytes(pickle.dumps(Attack(tmp_path)))

    message = refusal(tmp_path)

    assert message.startswith(f"{labels}: expected a pickle of numpy arrays and plain containers")
    assert message.endswith("posix.system, which could run code; it was not loaded")
    assert not (tmp_path / "was-here").exists()


def test_an_array_of_objects_is_refused_and_does_not_run(tmp_path: Path) -> None:
    data = written(tmp_path) / "val_data_joint.npy"
    np.save(data, np.array([Attack(tmp_path)]), allow_pickle=True)

    message = refusal(tmp_path)

    assert message == (
        f"{data}: expected an array of numbers, found one of Python objects, which could run"
        " code; it was not loaded"
    )
    assert not (tmp_path / "was-here").exists()


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (7, "found a int"),
        ((["a"],), "found a tuple"),
        (("a", [1]), "found a str and a list"),
        ((["a", "b"], [1, 1]), "found 2 and 2"),
        ((["a"], [1, 1]), "found 1 and 2"),
        (([b"a"], [1]), "found names that are no text"),
        ((["a"], ["x"]), "found labels that are no numbers"),
        ((["a"], [[1]]), "found labels that are no numbers"),
    ],
)
def test_labels_of_another_form_are_refused(tmp_path: Path, content: Any, found: str) -> None:
    labels = written(tmp_path) / "val_label.pkl"
    labels.write_bytes(pickle.dumps(content))

    message = refusal(tmp_path)

    assert message == f"{labels}: expected a pickle of names and labels, 1 each, {found}"


def test_a_label_below_zero_is_refused(tmp_path: Path) -> None:
    labels = written(tmp_path) / "val_label.pkl"
    labels.write_bytes(pickle.dumps((["a"], [-1])))

    message = refusal(tmp_path)

    assert message == f"{labels}, row 0: expected a whole number from 0, found -1"


@pytest.mark.parametrize(
    ("array", "found"),
    [
        (
            np.zeros((1, 3, 300, 25), "f4"),
            "expected floats of clips x axes x frames x joints x bodies, found float32 of"
            " 1 x 3 x 300 x 25",
        ),
        (
            np.zeros((1, 3, 300, 25, 2), int),
            "expected floats of clips x axes x frames x joints x bodies, found int64 of"
            " 1 x 3 x 300 x 25 x 2",
        ),
        (
            np.zeros((1, 3, 300, 20, 2)),
            "expected 25, 18, 17 joints, found 20; --layout NAME says which they are",
        ),
        (
            np.zeros((1, 2, 300, 25, 2)),
            "expected 3 axes and 25 joints for layout ntu25, found 2 and 25",
        ),
    ],
)
def test_an_array_of_another_form_is_refused(tmp_path: Path, array: ndarray, found: str) -> None:
    path = write_npy_pkl(tmp_path, {"val": array}, {"val": ["a"]}, {"val": [0]})

    assert refusal(path) == f"{tmp_path / 'val_data_joint.npy'}: {found}"


def test_parts_of_two_forms_are_refused(tmp_path: Path) -> None:
    given = {**arrays(), "val": np.zeros((1, 3, 150, 25, 2), np.float32)}

    assert refusal(written(tmp_path, joints=given)) == (
        f"{tmp_path}: expected all parts in one form, found 2"
    )


def test_a_name_in_both_parts_is_refused(tmp_path: Path) -> None:
    names = {**NAMES, "val": NAMES["train"][:1]}

    message = refusal(written(tmp_path, names=names))

    assert message == (
        f"{tmp_path}: two clips are called '{NAMES['train'][0]}'; names must be unique"
    )


@pytest.mark.parametrize("change", [lambda data: data[:-8], lambda data: data + b"12345678"])
def test_an_array_of_another_length_is_refused(
    tmp_path: Path, change: Callable[[bytes], bytes]
) -> None:
    data = written(tmp_path) / "val_data_joint.npy"
    data.write_bytes(change(data.read_bytes()))

    message = refusal(tmp_path)

    assert message.startswith(
        f"{data}: expected 180,128 bytes for an array of 1 x 3 x 300 x 25 x 2"
    )
    assert message.endswith("the file was cut off or is damaged")


def test_a_folder_with_bones_only_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path, stream="_bone")

    assert refusal(path) == (
        f"{tmp_path}: expected train_data_joint.npy, found only train_data_bone.npy; other streams"
        " are derived from the joints"
    )


def test_zeros_and_values_that_are_not_finite_are_named(tmp_path: Path) -> None:
    given = arrays()
    given["train"][0] = 0.0
    given["train"][1, 0, 4, 4, 0] = np.inf
    clips = open_npy_pkl(written(tmp_path, joints=given))
    data = tmp_path / "train_data_joint.npy"

    with pytest.raises(NoBodyError, match="found only zeros"):
        clips.clip(0)
    with pytest.raises(DataError) as caught:
        clips.clip(1)

    assert str(caught.value).startswith(
        f"{data}, row 1 (S001C002P001R001A002): expected finite coordinates, found 1 values"
    )


def test_a_folder_without_such_files_is_none(tmp_path: Path) -> None:
    np.save(tmp_path / "train_data.npy", np.zeros(3))

    assert not is_npy_pkl(tmp_path)
    assert not is_npy_pkl(tmp_path / "train_data.npy")
    assert not is_npy_pkl(tmp_path / "none")
