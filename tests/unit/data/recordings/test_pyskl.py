"""PYSKL's and MMAction2's pickle of annotations."""

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy import ndarray
from prepared_files import Attack, annotation, write_pyskl

from skelab.data.datasets import open_source
from skelab.data.preprocessing import choose_pipeline
from skelab.data.recordings import NTU60_CLASSES, HeldInMemory, PysklSource, Source
from skelab.errors import DataError, NoBodyError, SourceError
from skelab.skeleton import get_layout

A1, A5 = "S001C001P001R001A001", "S001C002P003R002A005"


def flat(name: str, **changes: Any) -> dict[str, Any]:
    """An annotation of two bodies in an image of 640 x 480, four frames, 17 joints."""
    rng = np.random.default_rng(3)
    keypoint = rng.uniform(1.0, 470.0, size=(2, 4, 17, 2)).astype(np.float16)
    scores = rng.uniform(0.1, 1.0, size=(2, 4, 17)).astype(np.float16)
    return {
        "frame_dir": name,
        "label": 2,
        "total_frames": 4,
        "img_shape": (480, 640),
        "original_shape": (480, 640),
        "keypoint": keypoint,
        "keypoint_score": scores,
        **changes,
    }


def read_one(path: Path) -> ndarray:
    source = open_source(path)
    raw = source.read(source.items()[0])
    return choose_pipeline("as-given", source.layout).prepare(raw, source.layout).joints


def damage(path: Path) -> str:
    source = open_source(path)
    with pytest.raises(DataError) as caught:
        source.read(source.items()[0])
    return str(caught.value)


def test_poses_in_space_are_taken_as_they_are(tmp_path: Path) -> None:
    one = annotation(A5, 4)
    source = open_source(write_pyskl(tmp_path / "a.pkl", [one, annotation(A1)]))

    raw = source.read(source.items()[1])

    assert isinstance(source, PysklSource)
    assert isinstance(source, Source)
    assert isinstance(source, HeldInMemory)
    assert raw.actors_chosen
    assert raw.num_frames == 6
    np.testing.assert_array_equal(raw.bodies["1"].joints, one["keypoint"][0])


def test_samples_know_what_their_names_say_and_the_parts_that_they_are_in(tmp_path: Path) -> None:
    path = write_pyskl(
        tmp_path / "a.pkl",
        [annotation(A5, 4), annotation(A1)],
        xsub_train=[A1],
        xsub_val=[A5],
        xview_train=[A5],
        xview_val=[A1],
    )

    source = open_source(path)

    infos = [item.info for item in source.items()]
    assert [(info.name, info.label, info.subject, info.camera) for info in infos] == [
        (A1, 0, 1, 1),
        (A5, 4, 3, 2),
    ]
    assert [info.parts for info in infos] == [
        ("xsub_train", "xview_val"),
        ("xsub_val", "xview_train"),
    ]
    assert source.classes == NTU60_CLASSES
    assert source.layout.name == "ntu25"
    assert source.units == "metres"
    assert not source.synthetic


def test_names_of_other_sets_give_numbered_classes(tmp_path: Path) -> None:
    annotations = [annotation("v_1", 0), annotation("v_2", np.int64(2))]

    source = open_source(write_pyskl(tmp_path / "a.pkl", annotations))

    assert source.classes == ("class 0", "class 1", "class 2")
    assert [item.info.subject for item in source.items()] == [None, None]


def test_a_label_that_is_not_the_action_of_the_name_stays_and_its_class_has_a_number(
    tmp_path: Path,
) -> None:
    source = open_source(write_pyskl(tmp_path / "a.pkl", [annotation(A5, 0), annotation(A1, 1)]))

    infos = [item.info for item in source.items()]

    assert [(info.label, info.subject) for info in infos] == [(1, 1), (0, 3)]
    assert source.classes == ("class 0", "class 1")


def test_a_list_of_annotations_alone_is_read_too(tmp_path: Path) -> None:
    path = tmp_path / "a.pkl"
    path.write_bytes(pickle.dumps([annotation(A1)]))

    source = open_source(path)

    assert [item.info.parts for item in source.items()] == [()]


def test_a_body_of_zeros_is_absent_and_comes_back_as_zeros(tmp_path: Path) -> None:
    keypoint = np.ones((2, 6, 25, 3), np.float32)
    keypoint[1, :4] = 0.0
    path = write_pyskl(tmp_path / "a.pkl", [annotation(A1, keypoint=keypoint)])
    source = open_source(path)

    raw = source.read(source.items()[0])

    assert raw.bodies["2"].frames.tolist() == [4, 5]
    np.testing.assert_array_equal(read_one(path), keypoint)


def test_points_of_an_image_become_x_y_and_score_about_its_middle(tmp_path: Path) -> None:
    one = flat("v")
    one["keypoint"][0, 0, 3] = one["keypoint_score"][0, 0, 3] = 0
    path = write_pyskl(tmp_path / "a.pkl", [one])

    joints = read_one(path)

    source = open_source(path)
    assert (source.layout.name, source.units) == ("coco17", "normalised")
    wanted = np.empty((2, 4, 17, 3))
    for body, frame, joint in np.ndindex(2, 4, 17):
        x, y = one["keypoint"][body, frame, joint].astype(float)
        wanted[body, frame, joint] = (
            (x - 320) / 320,
            (y - 240) / 240,
            one["keypoint_score"][body, frame, joint],
        )
    wanted[0, 0, 3] = 0
    np.testing.assert_allclose(joints, wanted, atol=1e-6)


def test_points_without_the_size_of_their_image_stay_in_pixels(tmp_path: Path) -> None:
    one = flat("v")
    del one["img_shape"]
    path = write_pyskl(tmp_path / "a.pkl", [one])

    joints = read_one(path)

    assert open_source(path).units == "pixels"
    np.testing.assert_array_equal(joints[..., :2], one["keypoint"].astype(np.float32))


def test_points_without_scores_count_as_seen_where_they_are_not_at_the_corner(
    tmp_path: Path,
) -> None:
    one = flat("v")
    del one["keypoint_score"]
    one["keypoint"][0, 0, 3] = 0

    joints = read_one(write_pyskl(tmp_path / "a.pkl", [one]))

    assert joints[0, 0, 3].tolist() == [0, 0, 0]
    assert joints[0, 0, 4, 2] == 1


def test_scores_may_stand_behind_the_points(tmp_path: Path) -> None:
    one = flat("v")
    scores = one.pop("keypoint_score")
    one["keypoint"] = np.concatenate([one["keypoint"], scores[..., None]], axis=3)

    joints = read_one(write_pyskl(tmp_path / "a.pkl", [one]))

    np.testing.assert_array_equal(joints[..., 2], scores.astype(np.float32))


def test_eighteen_joints_are_those_of_openpose_and_others_need_a_layout(tmp_path: Path) -> None:
    shape = (1, 4, 18, 2)
    path = write_pyskl(
        tmp_path / "a.pkl", [flat("v", keypoint=np.ones(shape), keypoint_score=np.ones(shape[:3]))]
    )
    other = write_pyskl(tmp_path / "b.pkl", [annotation("v", keypoint=np.ones((1, 4, 20, 3)))])

    with pytest.raises(SourceError) as caught:
        open_source(other)

    assert open_source(path).layout.name == "openpose18"
    assert open_source(other, layout="kinect20").layout == get_layout("kinect20")
    assert str(caught.value) == (
        f"{other}: expected keypoints of bodies x frames x joints x axes with 25, 17, 18 joints,"
        " found 20; --layout NAME says which they are"
    )


def test_an_annotation_without_a_body_has_none(tmp_path: Path) -> None:
    annotations = [annotation(A1, keypoint=np.zeros((0, 6, 25, 3), np.float16)), annotation(A5, 4)]
    path = write_pyskl(tmp_path / "a.pkl", annotations)

    with pytest.raises(NoBodyError):
        read_one(path)


def test_it_can_be_pickled_and_leaves_its_content_behind(tmp_path: Path) -> None:
    source = open_source(write_pyskl(tmp_path / "a.pkl", [annotation(A1)]))
    source.items()

    copy = pickle.loads(pickle.dumps(source))  # noqa: S301

    assert set(vars(copy)) == {"path", "layout"}
    assert copy.read(source.items()[0]).num_frames == 6


def test_the_digest_follows_the_content(tmp_path: Path) -> None:
    first = open_source(write_pyskl(tmp_path / "a.pkl", [annotation(A1)]))
    second = open_source(write_pyskl(tmp_path / "b.pkl", [annotation(A1)]))
    third = open_source(write_pyskl(tmp_path / "c.pkl", [annotation(A5)]))

    assert first.digest() == second.digest() != third.digest()


def test_a_pickle_that_would_run_code_is_refused_and_does_not_run(tmp_path: Path) -> None:
    path = write_pyskl(tmp_path / "a.pkl", [annotation(A1, extra=Attack(tmp_path))])

    with pytest.raises(SourceError) as caught:
        open_source(path)

    assert str(caught.value) == (
        f"{path}: expected a pickle of numpy arrays and plain containers, found posix.system,"
        " which could run code; it was not loaded"
    )
    assert not (tmp_path / "was-here").exists()


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (7, "a pickle of split and annotations, found a int"),
        ({"split": {}}, "a pickle of split and annotations, found a dict of split"),
        ({"annotations": []}, "a pickle of split and annotations, found a dict of annotations"),
        ({"split": 3, "annotations": [annotation(A1)]}, "a pickle of split and annotations, found"),
        ([{"frame_dir": "a"}], "annotations with frame_dir, label and keypoint, found a dict of"),
        (["a"], "annotations with frame_dir, label and keypoint, found a str"),
    ],
)
def test_a_pickle_of_something_else_is_refused(tmp_path: Path, content: Any, found: str) -> None:
    path = tmp_path / "a.pkl"
    path.write_bytes(pickle.dumps(content))

    with pytest.raises(SourceError) as caught:
        open_source(path)

    assert str(caught.value).startswith(f"{path}: expected {found}")


@pytest.mark.parametrize("split", [{"a,b": [A1]}, {"train": A1}])
def test_a_split_of_another_form_is_refused(tmp_path: Path, split: dict[str, Any]) -> None:
    path = write_pyskl(tmp_path / "a.pkl", [annotation(A1)], **split)
    source = PysklSource(path)

    with pytest.raises(SourceError, match="expected a split as names under the name of a part"):
        source.items()


@pytest.mark.parametrize("label", [-1, "wave", None, 1.5, True, 10**9])
def test_a_label_that_is_none_is_one_rejected_sample(tmp_path: Path, label: Any) -> None:
    path = write_pyskl(tmp_path / "a.pkl", [annotation(A1), annotation("b", label)])

    source = open_source(path)

    assert [item.info.name for item in source.items()] == [A1]
    assert list(source.rejected) == [("b", f"{path}: b: expected a label from 0, found {label!r}")]


def test_a_name_that_stands_twice_is_taken_once(tmp_path: Path) -> None:
    path = write_pyskl(tmp_path / "a.pkl", [annotation(A1), annotation(A1)])

    source = open_source(path)

    assert len(source.items()) == 1
    assert list(source.rejected) == [
        (A1, f"{path}: {A1} stands in the file 2 times; the first is taken")
    ]


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"keypoint": np.ones((1, 6, 25))}, "found the shape 1 x 6 x 25"),
        ({"keypoint": np.ones((1, 6, 24, 3))}, "found the shape 1 x 6 x 24 x 3"),
        ({"keypoint": np.ones((1, 6, 25, 2))}, "found the shape 1 x 6 x 25 x 2"),
        ({"keypoint": np.full((1, 6, 25, 3), "a")}, "found something that is not a number"),
        (
            {"keypoint": np.full((1, 6, 25, 3), np.nan)},
            "all finite, found 450 values that are not",
        ),
    ],
)
def test_a_damaged_annotation_is_named(tmp_path: Path, changes: dict[str, Any], found: str) -> None:
    path = write_pyskl(tmp_path / "a.pkl", [annotation("a", **changes), annotation("b", 1)])
    source = PysklSource(path, get_layout("ntu25"))

    with pytest.raises(DataError) as caught:
        source.read(source.items()[0])

    expected = f"{path}: a: expected keypoint of bodies x frames x 25 joints x 3 axes"
    assert str(caught.value) == f"{expected}, {found}"


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"keypoint_score": np.ones((2, 4, 16))}, "expected keypoint_score of 2 x 4 x 17 numbers"),
        ({"img_shape": (0, 640)}, "expected img_shape as height and width, found (0, 640)"),
        ({"img_shape": "big"}, "expected img_shape as height and width, found 'big'"),
    ],
)
def test_damaged_points_of_an_image_are_named(
    tmp_path: Path, changes: dict[str, Any], found: str
) -> None:
    path = write_pyskl(tmp_path / "a.pkl", [flat("v", **changes)])

    assert damage(path).startswith(f"{path}: v: {found}")


def test_a_pipeline_that_moves_points_in_space_is_refused_for_those_of_an_image() -> None:
    with pytest.raises(DataError) as caught:
        choose_pipeline("ctrgcn", get_layout("coco17"))

    assert choose_pipeline(None, get_layout("coco17")).name == "as-given"
    assert choose_pipeline(None, get_layout("ntu25")).name == "ctrgcn"
    assert str(caught.value) == (
        "pipeline ctrgcn needs coordinates x, y, z: layout coco17 has x, y, score;"
        " --pipeline as-given takes them as they are"
    )
