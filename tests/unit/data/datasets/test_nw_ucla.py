"""NW-UCLA's json files."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from shared_data import shared_data

from skelab.data.datasets import open_source
from skelab.data.datasets.nw_ucla import NW_UCLA_CLASSES, NwUclaSource
from skelab.data.preprocessing import get_pipeline
from skelab.errors import DataError

NAME = "a08_s02_e03_v01.json"
EXPECTED = "expected skeletons of frames x 20 joints x 3 numbers"


def skeletons(frames: int, joints: int = 20, axes: int = 3) -> list[Any]:
    values = np.arange(frames * joints * axes, dtype=float)
    return list(values.reshape(frames, joints, axes).tolist())


def write(folder: Path, **changes: object) -> NwUclaSource:
    content = {"file_name": NAME[:-5], "skeletons": skeletons(4), "label": 7} | changes
    (folder / NAME).write_text(json.dumps(content))
    return NwUclaSource(folder)


def test_a_file_becomes_one_body_in_every_frame(tmp_path: Path) -> None:
    source = write(tmp_path)

    clip = source.read(source.items()[0])

    assert clip.actors_chosen
    assert clip.num_frames == 4
    assert_array_equal(clip.bodies["1"].joints, np.array(skeletons(4)))
    assert_array_equal(clip.bodies["1"].frames, np.arange(4))


def test_the_name_says_action_subject_episode_and_view(tmp_path: Path) -> None:
    (item,) = write(tmp_path).items()

    assert item.info.name == "a08_s02_e03_v01"
    assert (item.info.label, item.info.subject) == (6, 2)
    assert (item.info.replication, item.info.camera) == (3, 1)
    assert NW_UCLA_CLASSES[6] == "put on"
    assert len(NW_UCLA_CLASSES) == 10


def test_an_action_that_was_never_used_is_listed_with_the_reason(tmp_path: Path) -> None:
    (tmp_path / "a07_s01_e00_v01.json").touch()

    source = NwUclaSource(tmp_path)

    assert not source.items()
    assert list(source.rejected) == [
        (
            "a07_s01_e00_v01.json",
            "a07_s01_e00_v01.json: expected one of the actions 1, 2, 3, 4, 5, 6, 8, 9, 11, 12,"
            " found 7",
        )
    ]


@pytest.mark.parametrize("label", [6, 8, "7", None, 7.5, [7]])
def test_a_label_that_contradicts_the_name_is_refused(tmp_path: Path, label: object) -> None:
    source = write(tmp_path, label=label)

    with pytest.raises(DataError) as caught:
        source.read(source.items()[0])

    assert str(caught.value) == (
        f"{tmp_path / NAME}: expected label 7 as its name says, found {label!r}"
    )


@pytest.mark.parametrize(
    ("content", "found"),
    [
        ([], "the shape 0"),
        (None, "something that is not a number"),
        ("abc", "something that is not a number"),
        ([[["1", "2", "3"]] * 20], "something that is not a number"),
        ([[[True, False, True]] * 20], "something that is not a number"),
        ([[[None, 1.0, 2.0]] * 20], "something that is not a number"),
        ([[[10**400, 1, 2]] * 20], "something that is not a number"),
        (skeletons(3, joints=25), "the shape 3 x 25 x 3"),
        (skeletons(3, axes=2), "the shape 3 x 20 x 2"),
        ([[[1.0, 2.0, 3.0]] * 20, [[1.0, 2.0]] * 20], "lists of unequal length"),
        (
            [[[float("nan"), float("inf"), 0.0]] * 20],
            "40 values that are not",
        ),
    ],
)
def test_other_skeletons_are_refused_with_what_was_found(
    tmp_path: Path, content: object, found: str
) -> None:
    source = write(tmp_path, skeletons=content)

    with pytest.raises(DataError) as caught:
        source.read(source.items()[0])

    between = ", all finite, found " if "values" in found else ", found "
    assert str(caught.value) == f"{tmp_path / NAME}: {EXPECTED}{between}{found}"


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\x00", b"[" * 100_000])
def test_what_is_not_json_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / NAME).write_bytes(content)
    source = NwUclaSource(tmp_path)

    with pytest.raises(DataError) as caught:
        source.read(source.items()[0])

    assert str(caught.value).startswith(
        f"{tmp_path / NAME}: expected json, found a file that is not: "
    )


def test_json_of_another_kind_is_refused(tmp_path: Path) -> None:
    (tmp_path / NAME).write_text("[1]")
    source = NwUclaSource(tmp_path)

    with pytest.raises(DataError) as caught:
        source.read(source.items()[0])

    assert str(caught.value) == (
        f"{tmp_path / NAME}: expected json with file_name, skeletons and label, found a list"
    )


def test_all_1020_genuine_files_are_listed_and_a_sample_is_read_and_prepared() -> None:
    source = open_source(shared_data("nw-ucla"))

    items = source.items()
    for item in items[::25]:
        clip = source.read(item)
        prepared = get_pipeline("ctrgcn").prepare(clip, source.layout)
        assert prepared.joints.shape == (1, clip.num_frames, 20, 3)

    assert not source.rejected
    assert len(items) == 1020
    assert {item.info.label for item in items} == set(range(10))
    assert {item.info.camera for item in items} == {1, 2}


@pytest.mark.slow
def test_all_1020_genuine_files_are_read_and_prepared() -> None:
    source = open_source(shared_data("nw-ucla"))

    frames = [
        get_pipeline("ctrgcn").prepare(source.read(item), source.layout).joints.shape[1]
        for item in source.items()
    ]

    files = [source.path / item.location for item in source.items()]
    assert frames == [len(json.loads(file.read_bytes())["skeletons"]) for file in files]
    assert min(frames) == 1
