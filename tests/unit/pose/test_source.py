"""Landmarks as a source: samples, classes, labels, and what is left out."""

from pathlib import Path

import numpy as np
import pytest
from jaxtyping import Float64
from numpy import ndarray
from pose_kit import some_landmarks

from skelab.data.clips.store import open_store
from skelab.data.ingest import ingest
from skelab.data.recordings import Source
from skelab.errors import LayoutError, SourceError
from skelab.pose.landmarks import SUFFIX
from skelab.pose.source import (
    LandmarkSource,
    describe_samples,
    holds_landmarks,
    holds_videos,
    landmark_place,
    list_videos,
)
from skelab.skeleton import get_layout


def write_landmarks(folder: Path, *videos: str, frames: int = 20) -> Path:
    """A folder with the landmarks of some videos."""
    for number, video in enumerate(videos):

        def wave(frame: int, speed: float = number + 1.0) -> Float64[ndarray, "33 3"]:
            return np.asarray(0.03 * np.sin(speed * frame / 5 + np.arange(99).reshape(33, 3)))

        place = folder / landmark_place(video)
        place.parent.mkdir(parents=True, exist_ok=True)
        some_landmarks(frames, move=wave, video=video.rpartition("/")[2]).save(place)
    return folder


def test_videos_are_found_in_a_folder_and_its_folders(tmp_path: Path) -> None:
    for name in ("b.mp4", "wave/a.MOV", "wave/notes.txt", "jump/c.webm", "readme.md"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()

    assert list_videos(tmp_path) == ["b.mp4", "jump/c.webm", "wave/a.MOV"]
    assert list_videos(tmp_path / "b.mp4") == ["b.mp4"]
    assert list_videos(tmp_path / "readme.md") == []
    assert holds_videos(tmp_path)
    assert not holds_videos(tmp_path / "none")
    assert not holds_landmarks(tmp_path)


def test_folders_are_the_classes() -> None:
    infos, classes = describe_samples(["jump/1.mp4", "wave/1.mp4", "wave/2.mp4", "3.mp4"])

    assert classes == ("jump", "wave")
    assert [info.name for info in infos] == ["jump_1", "wave_1", "wave_2", "3"]
    assert [info.label for info in infos] == [0, 1, 1, None]


def test_names_of_ntu_say_class_performer_and_camera() -> None:
    infos, classes = describe_samples(["S001C002P003R001A013_rgb.avi", "S001C002P003R001A061.avi"])

    assert infos[0].name == "S001C002P003R001A013"
    assert (infos[0].label, infos[0].subject, infos[0].camera) == (12, 3, 2)
    assert len(classes) == 120


def test_landmarks_become_a_store_like_any_other_source(tmp_path: Path) -> None:
    folder = write_landmarks(tmp_path / "poses", "jump/1.mp4", "wave/1.mp4", "wave/2.mp4")
    source = LandmarkSource(folder)

    report = ingest(source, tmp_path / "clips.arrow", workers=1)

    store = open_store(report.path)
    assert isinstance(source, Source)
    assert holds_landmarks(folder)
    assert store.info.dataset == "video"
    assert store.info.classes == ("jump", "wave")
    assert store.info.units == "metres"
    assert store.info.layout == get_layout("ntu25")
    assert store.index.labels.tolist() == [0, 1, 1]
    assert store.clip(0).joints.shape == (1, 20, 25, 3)


@pytest.mark.parametrize("layout", ["kinect20", "coco17"])
def test_the_same_landmarks_are_mapped_anew(tmp_path: Path, layout: str) -> None:
    folder = write_landmarks(tmp_path / "poses", "jump/1.mp4")

    report = ingest(LandmarkSource(folder, get_layout(layout)), tmp_path / "clips.arrow", workers=1)

    store = open_store(report.path)
    assert store.info.layout.name == layout
    assert store.info.units == ("pixels" if layout == "coco17" else "metres")
    if layout == "coco17":
        np.testing.assert_allclose(store.clip(0).joints[..., 2], 0.9)


def test_a_video_without_anybody_is_left_out_and_named(tmp_path: Path) -> None:
    folder = write_landmarks(tmp_path / "poses", *(f"jump/{n}.mp4" for n in range(12)))
    some_landmarks().of_body(9).save(folder / landmark_place("jump/empty.mp4"))

    report = ingest(LandmarkSource(folder), tmp_path / "clips.arrow", workers=1)

    (left_out,) = report.info.excluded
    assert (left_out.name, left_out.cause) == ("jump_empty", "no body")


def test_damaged_landmarks_and_videos_are_left_out_and_named(tmp_path: Path) -> None:
    folder = write_landmarks(tmp_path / "poses", *(f"jump/{n}.mp4" for n in range(30)))
    (folder / "jump" / f"other.mp4{SUFFIX}").write_text("no archive")
    half = folder / landmark_place("jump/0.mp4")
    half.write_bytes(half.read_bytes()[:-500])
    source = LandmarkSource(folder, failed={"jump/bad.mp4": "bad.mp4: is damaged after 1.00 s"})

    report = ingest(source, tmp_path / "clips.arrow", workers=1)

    causes = {entry.name: entry.cause for entry in report.info.excluded}
    assert causes == {
        "jump/bad.mp4": "damaged",
        f"jump/other.mp4{SUFFIX}": "not a sample",
        "jump_0": "damaged",
    }


def test_where_most_videos_are_damaged_no_store_is_written(tmp_path: Path) -> None:
    folder = write_landmarks(tmp_path / "poses", "jump/1.mp4")
    source = LandmarkSource(folder, failed={"a.mp4": "a.mp4: is damaged", "b.mp4": "b.mp4: is too"})

    with pytest.raises(SourceError, match="2 of 3 samples are lost"):
        ingest(source, tmp_path / "clips.arrow", workers=1)


def test_other_layouts_are_refused(tmp_path: Path) -> None:
    with pytest.raises(LayoutError, match="can be mapped to ntu25, kinect20, coco17, found"):
        LandmarkSource(tmp_path, get_layout("sbu15"))
