"""Folders of NTU ``.skeleton`` files, genuine and synthetic."""

import json
from pathlib import Path

import pytest
from shared_data import shared_data
from skeleton_text import a_pose, skeleton_text

from skelab.data.datasets import open_source
from skelab.data.datasets.ntu import SYNTHETIC_MARKER, NtuSource
from skelab.data.preprocessing import get_pipeline
from skelab.data.recordings import NTU60_CLASSES, NTU120_CLASSES, FolderSource, SourceItem
from skelab.errors import SkeletonFileError, SourceError

GOOD = "S001C002P003R002A013.skeleton"


def write(folder: Path, *names: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).write_bytes(skeleton_text([[("7", a_pose())]]))


def test_the_tables_of_actions_are_whole() -> None:
    assert len(NTU60_CLASSES) == 60
    assert len(set(NTU120_CLASSES)) == len(NTU120_CLASSES) == 120
    assert NTU60_CLASSES[49] == "punch or slap"
    assert NTU120_CLASSES[59:61] == ("walking apart", "put on headphone")
    assert NTU120_CLASSES[105] == "hit with object"


def test_items_come_by_name_with_what_the_name_says(tmp_path: Path) -> None:
    write(tmp_path, "S002C001P001R001A060.skeleton", GOOD)

    source = NtuSource(tmp_path)

    assert [item.info.name for item in source.items()] == [
        "S001C002P003R002A013",
        "S002C001P001R001A060",
    ]
    info = source.items()[0].info
    assert (info.setup, info.camera, info.subject) == (1, 2, 3)
    assert (info.replication, info.label) == (2, 12)
    assert source.classes == NTU60_CLASSES
    assert source.units == "metres"
    assert source.layout.name == "ntu25"


def test_an_action_above_60_makes_it_ntu_120(tmp_path: Path) -> None:
    write(tmp_path, GOOD, "S018C001P001R001A061.skeleton")

    source = NtuSource(tmp_path)

    assert source.classes == NTU120_CLASSES


def test_mis_named_files_are_listed_with_the_reason_and_others_ignored(tmp_path: Path) -> None:
    write(tmp_path, GOOD, "walk.skeleton", "S001C001P001R001A121.skeleton", "notes.txt")

    source = NtuSource(tmp_path)

    assert len(source.items()) == 1
    assert list(source.rejected) == [
        (
            "S001C001P001R001A121.skeleton",
            "S001C001P001R001A121: expected an action from 1 to 120, found 121",
        ),
        (
            "walk.skeleton",
            "walk: expected a name like S001C002P003R002A013, found another form",
        ),
    ]


def test_a_recording_is_read_and_a_damaged_one_named(tmp_path: Path) -> None:
    write(tmp_path, GOOD)
    bad = tmp_path / "S001C001P001R001A001.skeleton"
    bad.write_bytes(b"")
    source = NtuSource(tmp_path)

    clips = {item.info.name: item for item in source.items()}
    clip = source.read(clips["S001C002P003R002A013"])
    with pytest.raises(SkeletonFileError) as caught:
        source.read(clips["S001C001P001R001A001"])

    assert clip.num_frames == 1
    assert str(caught.value) == (
        f"{bad}, line 1: expected a frame count, found the end of the file"
    )


def test_a_recording_that_went_away_is_named(tmp_path: Path) -> None:
    write(tmp_path, GOOD)
    source = NtuSource(tmp_path)
    item = source.items()[0]
    (tmp_path / GOOD).unlink()

    with pytest.raises(SkeletonFileError, match="No such file"):
        source.read(SourceItem(item.info, item.location))


@pytest.mark.parametrize("folder", ["", "inner"])
def test_a_marked_folder_is_synthetic_and_names_its_own_actions(
    tmp_path: Path, folder: str
) -> None:
    write(tmp_path / folder, "S001C001P001R001A005.skeleton")
    actions = [[1, "walk"], ["A003", "wave"], ["x", "no number"], [4], "nonsense", [900, "far"]]
    (tmp_path / folder / SYNTHETIC_MARKER).write_text(json.dumps({"actions": actions}))

    source = open_source(tmp_path)

    assert source.synthetic
    assert source.classes == ("walk", "wave", "A005")
    assert [item.info.label for item in source.items()] == [2]


@pytest.mark.parametrize("content", ["{}", "[]", '{"actions": {}}'])
def test_a_marker_without_actions_still_marks(tmp_path: Path, content: str) -> None:
    write(tmp_path, "S001C001P001R001A002.skeleton")
    (tmp_path / SYNTHETIC_MARKER).write_text(content)

    source = NtuSource(tmp_path)

    assert source.synthetic
    assert source.classes == ("A002",)
    assert source.items()[0].info.label == 0


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe"])
def test_a_damaged_marker_is_an_error(tmp_path: Path, content: bytes) -> None:
    write(tmp_path, GOOD)
    (tmp_path / SYNTHETIC_MARKER).write_bytes(content)

    with pytest.raises(SourceError) as caught:
        _ = NtuSource(tmp_path).synthetic

    assert str(caught.value).startswith(
        f"{tmp_path / SYNTHETIC_MARKER}: expected json with the actions of a synthetic data set,"
        " found a file that cannot be read: "
    )


@pytest.mark.parametrize("pipeline", ["ctrgcn", "msg3d"])
def test_the_genuine_files_go_through_both_pipelines(pipeline: str) -> None:
    source = open_source(shared_data("ntu-samples"))

    prepared = {
        item.info.label: get_pipeline(pipeline).prepare(source.read(item), source.layout)
        for item in source.items()
    }

    assert not source.synthetic
    assert prepared[0].joints.shape == (1, 103, 25, 3)
    assert prepared[49].joints.shape == (2, 74, 25, 3)


def test_texts_are_the_paths_of_the_files(tmp_path: Path) -> None:
    write(tmp_path / "part1", GOOD)
    source = NtuSource(tmp_path)

    (path,) = source.texts(source.items())

    assert isinstance(path, str)
    assert Path(path) == tmp_path / "part1" / GOOD


def test_the_digest_is_that_of_any_folder_with_these_files(tmp_path: Path) -> None:
    write(tmp_path, GOOD, "S001C001P001R001A121.skeleton", "notes.skeleton")
    source = NtuSource(tmp_path)

    digest = source.digest()

    assert digest == FolderSource.digest(source)
    (tmp_path / "notes.skeleton").write_bytes(b"1")
    assert source.digest() != digest
