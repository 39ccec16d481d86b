"""People made up for tests of poses: landmarks of a standing body, and an estimator that knows."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float32, Float64, UInt8
from numpy import ndarray

from skelab.pose.estimator import EstimatedPose
from skelab.pose.landmarks import LandmarkInfo, Landmarks
from skelab.pose.regions import Detection, Region

LEFT_PARTS = {
    7: (0.07, -0.62, 0.0),
    11: (0.18, -0.48, 0.0),
    13: (0.25, -0.22, 0.0),
    15: (0.28, 0.02, -0.05),
    17: (0.30, 0.10, -0.05),
    19: (0.26, 0.11, -0.06),
    21: (0.23, 0.06, -0.08),
    23: (0.10, 0.0, 0.0),
    25: (0.11, 0.42, 0.0),
    27: (0.11, 0.82, 0.02),
    29: (0.11, 0.86, 0.05),
    31: (0.13, 0.88, -0.12),
}
"""Of the left landmarks of somebody who faces the camera: right in the picture, down, away."""


def standing_world() -> Float64[ndarray, "33 3"]:
    """Landmarks of somebody who stands and faces the camera; metres from the hips."""
    world = np.zeros((33, 3))
    world[0] = (0.0, -0.63, -0.10)
    for number in (1, 2, 3):
        world[number] = (0.03, -0.66, -0.08)
        world[number + 3] = (-0.03, -0.66, -0.08)
    world[9], world[10] = (0.02, -0.58, -0.08), (-0.02, -0.58, -0.08)
    for number, place in LEFT_PARTS.items():
        world[number] = place
        world[number + 1] = (-place[0], *place[1:])
    return world


def an_info(**changes: object) -> LandmarkInfo:
    """Where made-up landmarks come from."""
    usual: dict[str, object] = {
        "video": "film.mp4",
        "video_digest": "0" * 64,
        "width": 640,
        "height": 480,
        "frames_per_second": 30.0,
        "num_frames": 10,
        "mirrored": False,
        "estimator": "made-up",
        "estimator_digest": "1" * 64,
        "joint_map": 1,
    }
    return LandmarkInfo(**{**usual, **changes})  # type: ignore[arg-type]


def some_landmarks(
    frames: int = 10,
    bodies: int = 1,
    world: Float64[ndarray, "33 3"] | None = None,
    *,
    pixels: float = 150.0,
    move: Callable[[int], Float64[ndarray, "33 3"]] | None = None,
    **changes: object,
) -> Landmarks:
    """People who stand beside each other.

    Args:
        frames: Pictures.
        bodies: People.
        world: Their pose; None lets them stand.
        pixels: Of a metre in the picture.
        move: What is added to the pose in each picture.
        changes: Of the description.
    """
    pose = standing_world() if world is None else world
    entries = [(frame, body) for frame in range(frames) for body in range(1, bodies + 1)]
    poses = np.stack([pose + (move(frame) if move else 0.0) for frame, _ in entries])
    picture = poses * pixels
    picture[..., 0] += np.array([160.0 + 200 * body for _, body in entries])[:, None]
    picture[..., 1] += 240
    return Landmarks(
        an_info(num_frames=frames, **changes),
        frames=np.array([frame for frame, _ in entries], dtype=np.int32),
        bodies=np.array([body for _, body in entries], dtype=np.int32),
        picture=picture.astype(np.float32),
        world=poses.astype(np.float32),
        visibility=np.full((len(entries), 33), 0.9, dtype=np.float32),
        scores=np.full(len(entries), 0.99, dtype=np.float32),
    )


@dataclass
class Walker:
    """Somebody who walks through a made-up video.

    Attributes:
        start: Where the middle of the hips is in the first picture, pixels.
        step: How far it moves from picture to picture.
        near: Who is nearer to the camera hides who is further away.
        size: Pixels of a metre.
        present: Pictures with the person; None for all.
    """

    start: tuple[float, float]
    step: tuple[float, float] = (0.0, 0.0)
    near: int = 0
    size: float = 100.0
    present: range | None = None

    def place(self, number: int) -> tuple[float, float]:
        """Where the middle of the hips is in a picture."""
        return self.start[0] + number * self.step[0], self.start[1] + number * self.step[1]


@dataclass
class KnowingEstimator:
    """An estimator for pictures whose first pixel is their number, in a world that it knows.

    It finds, as a landmark model does, whoever is nearest to the middle of a region; who is hidden
    by somebody nearer to the camera is not found.
    """

    people: Sequence[Walker]
    name: str = "made-up"
    digest: str = "1" * 64
    calls: list[str] = field(default_factory=list)

    def detect(self, picture: UInt8[ndarray, "H W 3"]) -> list[Detection]:
        """Everybody who is not hidden."""
        self.calls.append("detect")
        number = frame_number(picture)
        regions = [self._region(person, number) for person in self._visible(number)]
        return [Detection(region, 0.9, (0.0, 0.0, 1.0, 1.0)) for region in regions]

    def locate(self, picture: UInt8[ndarray, "H W 3"], region: Region) -> EstimatedPose:
        """Whoever is nearest to the middle of a region."""
        self.calls.append("locate")
        number = frame_number(picture)
        near = [
            (np.hypot(*(np.array(person.place(number)) - (region.x, region.y))), person)
            for person in self._visible(number)
        ]
        distance, person = min(near, key=lambda each: each[0], default=(np.inf, None))
        if person is None or distance > region.side / 2:
            nothing = np.zeros((33, 3), dtype=np.float32)
            return EstimatedPose(nothing, nothing, nothing[:, 0], 0.1, region)
        world = standing_world().astype(np.float32)
        flat = world * np.float32(person.size)
        flat[:, :2] += np.array(person.place(number), dtype=np.float32)
        visible = np.full(33, 0.9, dtype=np.float32)
        return EstimatedPose(flat, world, visible, 0.99, self._region(person, number))

    def _visible(self, number: int) -> list[Walker]:
        there = [each for each in self.people if each.present is None or number in each.present]
        return [person for person in there if not self._hidden(person, there, number)]

    def _hidden(self, person: Walker, others: Sequence[Walker], number: int) -> bool:
        return any(
            other.near > person.near
            and abs(other.place(number)[0] - person.place(number)[0]) < 0.25 * person.size
            for other in others
        )

    def _region(self, person: Walker, number: int) -> Region:
        x, y = person.place(number)
        return Region(x, y, 2.5 * person.size)


@dataclass
class SteadyEstimator:
    """An estimator that sees one person, who waves, whatever the picture shows.

    Attributes:
        people: How many it sees; nobody with 0.
    """

    people: int = 1
    name: str = "made-up"
    digest: str = "1" * 64
    looked: int = 0

    def detect(self, picture: UInt8[ndarray, "H W 3"]) -> list[Detection]:
        """Everybody, side by side."""
        return [
            Detection(self._region(picture, place), 0.9, (0.0, 0.0, 1.0, 1.0))
            for place in range(self.people)
        ]

    def locate(self, picture: UInt8[ndarray, "H W 3"], region: Region) -> EstimatedPose:
        """The person in a region, a little later each time."""
        self.looked += 1
        world = standing_world()
        for number in (13, 15, 17, 19, 21):
            world[number, 1] += 0.1 * np.sin(self.looked / 3)
        flat = world * region.side / 2.5
        flat[:, :2] += (region.x, region.y)
        visible = np.full(33, 0.9, dtype=np.float32)
        return EstimatedPose(as_float32(flat), as_float32(world), visible, 0.99, region)

    def _region(self, picture: UInt8[ndarray, "H W 3"], place: int) -> Region:
        high, wide = picture.shape[:2]
        return Region(
            wide * (place + 1) / (self.people + 1), high / 2, high / (0.5 * self.people + 0.5)
        )


def numbered_picture(number: int, width: int = 640, height: int = 480) -> UInt8[ndarray, "H W 3"]:
    """A black picture that tells its number."""
    picture = np.zeros((height, width, 3), dtype=np.uint8)
    picture[0, 0, 0] = number
    return picture


def frame_number(picture: UInt8[ndarray, "H W 3"]) -> int:
    """The number that a picture tells."""
    return int(picture[0, 0, 0])


def as_float32(values: Float64[ndarray, "..."]) -> Float32[ndarray, "..."]:
    """The same numbers, as models give them."""
    return values.astype(np.float32)
