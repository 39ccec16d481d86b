"""From a video to the landmarks of everybody in it."""

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from skelab.errors import SourceError
from skelab.host.video import VideoInfo, VideoLimits, VideoReader
from skelab.pose.estimator import PoseEstimator
from skelab.pose.joint_maps import JOINT_MAP
from skelab.pose.landmarks import NUM_LANDMARKS, LandmarkInfo, Landmarks
from skelab.pose.tracking import PeopleTracker, TrackedPose, TrackingSettings

RATE = 30.0
"""Pictures a second that are looked at, which is Kinect's rate."""

LONGEST_SIDE = 1920
"""Pixels to which larger pictures are scaled down."""


@dataclass(frozen=True)
class PoseSettings:
    """How the people in a video are found.

    Attributes:
        mirrored: Whether the picture shows left on the right, as a mirror does.
        frames_per_second: Pictures that are looked at.
        longest_side: Pixels to which larger pictures are scaled down.
        tracking: How people are followed.
        limits: What decoding may take.
    """

    mirrored: bool
    frames_per_second: float = RATE
    longest_side: int = LONGEST_SIDE
    tracking: TrackingSettings = field(default_factory=TrackingSettings)
    limits: VideoLimits = field(default_factory=VideoLimits)


@dataclass(frozen=True)
class Extraction:
    """What an extraction gave, and how long it took.

    Attributes:
        landmarks: Of everybody.
        seconds: Of the clock, from the first picture to the last.
    """

    landmarks: Landmarks
    seconds: float

    @property
    def frames_per_second(self) -> float:
        """Pictures that were decoded and looked at in a second."""
        return self.landmarks.info.num_frames / max(self.seconds, 1e-9)


def extract_landmarks(
    video: Path,
    estimator: PoseEstimator,
    settings: PoseSettings,
    on_progress: Callable[[int, int], None] | None = None,
) -> Extraction:
    """Find everybody in a video, and the landmarks of each in every picture.

    Args:
        video: A file.
        estimator: Finds them.
        settings: How.
        on_progress: Called with pictures that are done, and with all that there should be.

    Raises:
        VideoError: The video cannot be decoded.
        SourceError: There is no such file.
    """
    tracker = PeopleTracker(estimator, settings.tracking)
    found: list[tuple[int, TrackedPose]] = []
    count = 0
    with VideoReader(
        video,
        frames_per_second=settings.frames_per_second,
        longest_side=settings.longest_side,
        limits=settings.limits,
    ) as reader:
        began = time.perf_counter()
        expected = _expected_frames(reader.info)
        for frame in reader:
            found += [(frame.number, pose) for pose in tracker.step(frame.picture)]
            count = frame.number + 1
            if on_progress:
                on_progress(count, max(count, expected))
        seconds = time.perf_counter() - began
        info = _describe(video, reader.info, estimator, settings)
    return Extraction(_collect(replace(info, num_frames=count), found), seconds)


def digest_of(path: Path) -> str:
    """sha256 of a file.

    Raises:
        SourceError: It cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise SourceError(f"{path}: cannot be read: {error.strerror}") from None


def _expected_frames(info: VideoInfo) -> int:
    return round((info.seconds or 0.0) * info.frames_per_second)


def _describe(
    video: Path, info: VideoInfo, estimator: PoseEstimator, settings: PoseSettings
) -> LandmarkInfo:
    return LandmarkInfo(
        video=video.name,
        video_digest=digest_of(video),
        width=info.width,
        height=info.height,
        frames_per_second=info.frames_per_second,
        num_frames=1,
        mirrored=settings.mirrored,
        estimator=estimator.name,
        estimator_digest=estimator.digest,
        joint_map=JOINT_MAP,
    )


def _collect(info: LandmarkInfo, found: list[tuple[int, TrackedPose]]) -> Landmarks:
    shape = (len(found), NUM_LANDMARKS)
    poses = [tracked.pose for _, tracked in found]
    return Landmarks(
        info,
        frames=np.array([number for number, _ in found], dtype=np.int32),
        bodies=np.array([tracked.body for _, tracked in found], dtype=np.int32),
        picture=np.array([pose.picture for pose in poses], dtype=np.float32).reshape(*shape, 3),
        world=np.array([pose.world for pose in poses], dtype=np.float32).reshape(*shape, 3),
        visibility=np.array([pose.visibility for pose in poses], dtype=np.float32).reshape(shape),
        scores=np.array([pose.score for pose in poses], dtype=np.float32),
    )
