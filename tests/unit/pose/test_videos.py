"""Folders of videos: everybody in each, kept; what was done is not done again."""

from dataclasses import replace
from pathlib import Path

import pytest
from pose_kit import SteadyEstimator
from video_kit import grey, write_video

from skelab.errors import LayoutError, SourceError, VideoError
from skelab.pose.extract import PoseSettings, extract_landmarks
from skelab.pose.landmarks import read_landmarks
from skelab.pose.source import landmark_place
from skelab.pose.videos import extract_videos, landmark_folder

SETTINGS = PoseSettings(mirrored=False, frames_per_second=10.0)


@pytest.fixture
def videos(tmp_path: Path) -> Path:
    """Two videos of two classes."""
    folder = tmp_path / "videos"
    for name in ("jump", "wave"):
        (folder / name).mkdir(parents=True)
        write_video(folder / name / "1.mp4", [grey(number) for number in range(12)])
    return folder


def test_everybody_is_found_in_every_picture(videos: Path) -> None:
    seen: list[tuple[int, int]] = []

    made = extract_landmarks(
        videos / "jump" / "1.mp4",
        SteadyEstimator(people=2),
        SETTINGS,
        lambda done, total: seen.append((done, total)),
    )

    landmarks = made.landmarks
    assert landmarks.body_numbers() == [1, 2]
    assert len(landmarks.of_body(2).frames) == 12
    assert landmarks.info.num_frames == 12
    assert landmarks.info.video == "1.mp4"
    assert (landmarks.info.width, landmarks.info.height) == (64, 48)
    assert len(landmarks.info.video_digest) == 64
    assert seen[-1] == (12, 12)
    assert made.frames_per_second > 0


def test_nobody_is_no_error(videos: Path) -> None:
    made = extract_landmarks(videos / "jump" / "1.mp4", SteadyEstimator(people=0), SETTINGS)

    assert made.landmarks.body_numbers() == []
    assert made.landmarks.info.num_frames == 12


def test_what_is_found_is_kept_beside_the_store(videos: Path, tmp_path: Path) -> None:
    folder = landmark_folder(tmp_path / "clips.arrow")
    estimator = SteadyEstimator()

    made = extract_videos(videos, folder, estimator, SETTINGS)
    looked = estimator.looked
    again = extract_videos(videos, folder, estimator, SETTINGS)

    assert folder == tmp_path / "clips.landmarks"
    assert (made.done, made.kept, made.frames) == (2, 0, 24)
    assert (again.done, again.kept) == (0, 2)
    assert estimator.looked == looked
    assert read_landmarks(folder / landmark_place("jump/1.mp4")).info.joint_map == 1
    assert [item.info.name for item in again.source.items()] == ["jump_1", "wave_1"]


@pytest.mark.parametrize("change", ["mirror", "rate", "model", "video"])
def test_what_was_found_otherwise_is_looked_for_again(
    videos: Path, tmp_path: Path, change: str
) -> None:
    folder = tmp_path / "poses"
    extract_videos(videos, folder, SteadyEstimator(), SETTINGS)
    settings, estimator = SETTINGS, SteadyEstimator()
    if change == "mirror":
        settings = replace(SETTINGS, mirrored=True)
    elif change == "rate":
        settings = replace(SETTINGS, frames_per_second=5.0)
    elif change == "model":
        estimator = SteadyEstimator(digest="2" * 64)
    else:
        for name in ("jump", "wave"):
            write_video(videos / name / "1.mp4", [grey(number) for number in range(9)])

    again = extract_videos(videos, folder, estimator, settings)

    assert (again.done, again.kept) == (2, 0)


def test_a_damaged_video_is_left_out_and_named(videos: Path, tmp_path: Path) -> None:
    (videos / "jump" / "2.mp4").write_text("#EXTM3U\n")

    made = extract_videos(videos, tmp_path / "poses", SteadyEstimator(), SETTINGS)

    assert list(made.failed) == ["jump/2.mp4"]
    assert "a playlist or a script" in made.failed["jump/2.mp4"]
    assert made.done == 2
    assert made.source.cause("jump/2.mp4") == "damaged"


def test_strictly_a_damaged_video_ends_it(videos: Path, tmp_path: Path) -> None:
    (videos / "jump" / "0.mp4").write_text("#EXTM3U\n")

    with pytest.raises(VideoError, match="a playlist or a script"):
        extract_videos(videos, tmp_path / "poses", SteadyEstimator(), SETTINGS, strict=True)


def test_a_wrong_layout_is_refused_before_any_video_is_decoded(
    videos: Path, tmp_path: Path
) -> None:
    estimator = SteadyEstimator()

    with pytest.raises(LayoutError, match="--layout sbu15"):
        extract_videos(videos, tmp_path / "poses", estimator, SETTINGS, layout="sbu15")
    assert estimator.looked == 0


def test_a_folder_without_videos_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="expected a video, or a folder of videos, found none"):
        extract_videos(tmp_path, tmp_path / "poses", SteadyEstimator(), SETTINGS)
