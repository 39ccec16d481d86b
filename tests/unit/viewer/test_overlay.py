"""Overlays: the video, with bodies where they are and the action of the moment."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw
from pose_kit import SteadyEstimator
from video_kit import grey, write_video

from skelab.errors import VideoError
from skelab.host.video import VideoReader
from skelab.inference.timeline import ActionSegment, Answer, PersonTimeline, Timeline
from skelab.pose.extract import PoseSettings, extract_landmarks
from skelab.pose.landmarks import Landmarks
from skelab.viewer.overlay import LANDMARK_BONES, colour_of, draw_body, write_overlay


@pytest.fixture
def film(tmp_path: Path) -> Path:
    """A dark video of 20 pictures."""
    return write_video(tmp_path / "film.mp4", [grey(0, 320, 241)] * 20)


def landmarks_of(film: Path, people: int = 1) -> Landmarks:
    """People in the middle of it."""
    settings = PoseSettings(mirrored=False, frames_per_second=10.0)
    return extract_landmarks(film, SteadyEstimator(people), settings).landmarks


def a_timeline() -> Timeline:
    """Somebody who waves."""
    answers = (Answer(0.0, 2.0, (("wave", 0.9),)),)
    segments = (ActionSegment(0.0, 2.0, "wave", 0.9),)
    return Timeline("film.mp4", 2.0, (PersonTimeline(1, 0.0, 2.0, answers, segments),))


def test_the_film_has_all_pictures_with_somebody_in_them(film: Path, tmp_path: Path) -> None:
    out = tmp_path / "overlay.mp4"

    write_overlay(out, film, landmarks_of(film, people=2), a_timeline())

    with VideoReader(out) as reader:
        pictures = [frame.picture for frame in reader]
        assert (reader.info.width, reader.info.height) == (320, 240)
    assert len(pictures) == 20
    assert float(np.std(pictures[5][60:200, 80:260])) > 5  # the middle was of one colour


def test_a_body_is_drawn_where_it_is_seen() -> None:
    points = np.tile(np.array([[10.0, 10.0]]), (33, 1))
    points[11], points[12] = (20, 50), (80, 50)
    picture = Image.new("RGB", (100, 100))
    seen = [False] * 33
    seen[11] = seen[12] = True

    draw_body(ImageDraw.Draw(picture), points, seen, colour_of(1), 180)

    drawn = np.asarray(picture).max(axis=2) > 0
    assert drawn[50, 20:80].all()
    assert not drawn[:30].any()


def test_every_landmark_that_is_drawn_exists() -> None:
    assert max(max(bone) for bone in LANDMARK_BONES) == 32
    assert colour_of(1) != colour_of(2)


def test_another_video_is_refused(film: Path, tmp_path: Path) -> None:
    landmarks = landmarks_of(film)
    other = replace(landmarks, info=replace(landmarks.info, num_frames=25))

    with pytest.raises(VideoError, match="expected the video of the landmarks with 25 pictures"):
        write_overlay(tmp_path / "overlay.mp4", film, other, a_timeline())
    assert not (tmp_path / "overlay.mp4").exists()
