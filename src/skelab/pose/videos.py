"""Find the people in all videos of a folder, and keep their landmarks."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from skelab.errors import DataError, SourceError, VideoError
from skelab.files.lock import hold_lock, lock_beside
from skelab.pose.estimator import PoseEstimator
from skelab.pose.extract import PoseSettings, digest_of, extract_landmarks
from skelab.pose.landmarks import LandmarkInfo, read_landmark_info
from skelab.pose.source import LandmarkSource, landmark_place, list_videos
from skelab.skeleton import Layout, get_layout

Progress = Callable[[str, int, int], None]
"""Called with the name of a video, the pictures that are done, and all that there should be."""


@dataclass(frozen=True)
class VideoExtraction:
    """What came of the videos of a folder.

    Attributes:
        source: The recordings.
        done: Videos that were looked at now.
        kept: Videos whose landmarks were there already.
        frames: Pictures that were looked at now.
        seconds: Of the clock, for these.
        failed: Of each video in which nothing could be looked for, the reason.
    """

    source: LandmarkSource
    done: int = 0
    kept: int = 0
    frames: int = 0
    seconds: float = 0.0
    failed: dict[str, str] = field(default_factory=dict)


def landmark_folder(store: Path) -> Path:
    """Where the landmarks of a store's videos are kept: ``clips.landmarks`` for ``clips.arrow``."""
    return store.with_name(f"{store.stem}.landmarks")


def extract_videos(
    videos: Path,
    folder: Path,
    estimator: PoseEstimator,
    settings: PoseSettings,
    *,
    layout: Layout | str | None = None,
    strict: bool = False,
    on_progress: Progress | None = None,
) -> VideoExtraction:
    """Find the people in every video, and keep their landmarks in a folder.

    A damaged video is left out and named. Landmarks that are there already, of the same video and
    found in the same way, are not looked for again, so that an interrupted extraction goes on.

    Args:
        videos: A video, or a folder of videos.
        folder: Where to keep landmarks.
        estimator: Finds the people.
        settings: How.
        layout: The joints of the recordings; None takes ``ntu25``.
        strict: Stop at the first damaged video.
        on_progress: Called after each picture.

    Raises:
        SourceError: There is no video, or another process writes the folder.
        LayoutError: Landmarks are not mapped to that layout.
        VideoError: ``strict``, and a video is damaged.
        OutputError: The folder cannot be written.
    """
    chosen = get_layout(layout) if isinstance(layout, str) else layout
    LandmarkSource(folder, chosen)  # refuses a layout before any video is decoded
    found = list_videos(videos)
    if not found:
        raise SourceError(f"{videos}: expected a video, or a folder of videos, found none")
    root = videos if videos.is_dir() else videos.parent
    failed: dict[str, str] = {}
    done = kept = frames = 0
    seconds = 0.0
    folder.mkdir(parents=True, exist_ok=True)
    with hold_lock(lock_beside(folder), str(folder), SourceError):
        for video in found:
            place = folder / landmark_place(video)
            if _is_done(place, root / video, estimator, settings):
                kept += 1
                continue
            report = _report(on_progress, video)
            try:
                made = extract_landmarks(root / video, estimator, settings, report)
            except VideoError as error:
                if strict:
                    raise
                failed[video] = str(error)
                continue
            made.landmarks.save(place)
            done, frames = done + 1, frames + made.landmarks.info.num_frames
            seconds += made.seconds
    source = LandmarkSource(folder, chosen, failed)
    return VideoExtraction(source, done, kept, frames, seconds, failed)


def _report(on_progress: Progress | None, video: str) -> Callable[[int, int], None] | None:
    if on_progress is None:
        return None
    return lambda done, total: on_progress(video, done, total)


def _is_done(place: Path, video: Path, estimator: PoseEstimator, settings: PoseSettings) -> bool:
    """Whether landmarks of this very video, found in this very way, are there."""
    if not place.is_file():
        return False
    try:
        info: LandmarkInfo = read_landmark_info(place)
    except DataError:
        return False
    same = (info.estimator_digest, info.mirrored) == (estimator.digest, settings.mirrored)
    rate = abs(info.frames_per_second - settings.frames_per_second) < 1e-6
    return same and rate and info.video_digest == digest_of(video)
