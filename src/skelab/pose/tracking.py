"""Who is who from picture to picture: people keep their number while others cross their way.

A person who was found is looked for where the body was last, which costs the landmark model only.
The detector runs from time to time, while there may be people who are not followed. Somebody who is
hidden is remembered for a while, and gets the old number back where the detector finds a body near
the place to which the person was moving.
"""

import math
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
from jaxtyping import UInt8
from numpy import ndarray

from skelab.pose.estimator import EstimatedPose, PoseEstimator
from skelab.pose.regions import Detection, Region

_SURE: Final = 0.5  # least score of a pose, and of a detection beside people who are followed
_SAME_BODY: Final = 0.05  # mean distance of landmarks of one body found twice, in sides of a region
_NEAR: Final = 0.6  # distance at which a body is taken for one that is remembered, in sides
_OWN_PLACE: Final = 0.3  # distance at which a detection is of somebody who is followed
_FIRM: Final = 0.8  # how much of the velocity so far is kept from picture to picture
_SMALLEST, _LARGEST = 24.0, 2.0  # side of a region: pixels, and longer sides of the picture


@dataclass(frozen=True)
class TrackingSettings:
    """How people are followed.

    Attributes:
        most_people: Nobody is looked for beyond these.
        detect_every: Pictures between two runs of the detector while somebody is followed.
        detect_every_empty: The same while there is nobody.
        remember: Pictures for which somebody who is hidden is remembered.
    """

    most_people: int = 4
    detect_every: int = 15
    detect_every_empty: int = 3
    remember: int = 45


@dataclass(frozen=True)
class TrackedPose:
    """A pose and whose it is.

    Attributes:
        body: Number of the person, from 1.
        pose: The landmarks.
    """

    body: int
    pose: EstimatedPose


@dataclass
class _Person:
    """Somebody who is followed or remembered."""

    body: int
    region: Region
    pose: EstimatedPose | None = None
    velocity: tuple[float, float] = (0.0, 0.0)
    missed: int = 0
    age: int = 0
    surprise: float = 0.0
    before: "tuple[Region, tuple[float, float], int] | None" = None

    def expected(self) -> Region:
        """Where the person should be in the next picture."""
        steps = self.missed + 1
        x = self.region.x + steps * self.velocity[0]
        y = self.region.y + steps * self.velocity[1]
        return replace(self.region, x=x, y=y)

    def move(self, pose: EstimatedPose) -> None:
        """Take over a new pose; ``surprise`` is how far it is from where it was expected."""
        self.before = (self.region, self.velocity, self.missed)
        steps, expected = self.missed + 1, self.expected()
        self.surprise = math.hypot(pose.region.x - expected.x, pose.region.y - expected.y)
        dx = (pose.region.x - self.region.x) / steps
        dy = (pose.region.y - self.region.y) / steps
        if self.age:
            self.velocity = (
                _FIRM * self.velocity[0] + (1 - _FIRM) * dx,
                _FIRM * self.velocity[1] + (1 - _FIRM) * dy,
            )
        self.pose, self.region = pose, pose.region
        self.missed = 0
        self.age += 1

    def take_back(self) -> None:
        """Undo the latest step, which was to the body of somebody else."""
        if self.before is not None:
            self.region, self.velocity, self.missed = self.before


@dataclass
class PeopleTracker:
    """Follows the people of one video, picture after picture.

    Args:
        estimator: Detects people and finds their landmarks.
        settings: How people are followed.
    """

    estimator: PoseEstimator
    settings: TrackingSettings = field(default_factory=TrackingSettings)
    _followed: list[_Person] = field(default_factory=list)
    _remembered: list[_Person] = field(default_factory=list)
    _numbers: int = 0
    _since: int = 1 << 30

    def step(self, picture: UInt8[ndarray, "H W 3"]) -> list[TrackedPose]:
        """The people in the next picture, by their number."""
        self._follow(picture)
        self._separate()
        self._since += 1
        if self._wants_detection():
            self._since = 0
            for detection in self.estimator.detect(picture):
                if len(self._followed) >= self.settings.most_people:
                    break
                self._admit(picture, detection)
            self._separate()
        for person in self._remembered:
            person.missed += 1
        self._remembered = [
            person for person in self._remembered if person.missed <= self.settings.remember
        ]
        found = [TrackedPose(each.body, each.pose) for each in self._followed if each.pose]
        return sorted(found, key=lambda each: each.body)

    def _follow(self, picture: UInt8[ndarray, "H W 3"]) -> None:
        """Look for everybody where they were."""
        for person in list(self._followed):
            pose = self.estimator.locate(picture, person.region)
            if pose.score < _SURE or not _plausible(pose.region, picture):
                self._lose(person)
                continue
            person.move(pose)

    def _separate(self) -> None:
        """Of two who were found on one body, keep the one who was expected there."""
        for one in list(self._followed):
            for two in list(self._followed):
                if one.body >= two.body or one not in self._followed:
                    continue
                if two in self._followed and _on_one_body(one, two):
                    other = _less_expected(one, two)
                    other.take_back()
                    self._lose(other)

    def _wants_detection(self) -> bool:
        if len(self._followed) >= self.settings.most_people:
            return False
        settings = self.settings
        every = settings.detect_every if self._followed else settings.detect_every_empty
        return self._since >= every

    def _admit(self, picture: UInt8[ndarray, "H W 3"], detection: Detection) -> None:
        """Follow somebody whom the detector sees, under the old number where there is one."""
        region = detection.region
        if detection.score < _SURE or not _plausible(region, picture):
            return
        if any(region.distance(person.region) < _OWN_PLACE for person in self._followed):
            return
        pose = self.estimator.locate(picture, region)
        if pose.score < _SURE or not _plausible(pose.region, picture):
            return
        candidate = _Person(0, pose.region, pose)
        if any(_on_one_body(candidate, person) for person in self._followed):
            return
        person = self._recall(pose.region)
        if person is None:
            self._numbers += 1
            person = _Person(self._numbers, pose.region)
        person.move(pose)
        self._followed.append(person)

    def _recall(self, region: Region) -> _Person | None:
        """Somebody remembered who should be about there; no longer remembered then."""
        near = [
            (person.expected().distance(region), person)
            for person in self._remembered
            if person.expected().distance(region) < _NEAR
            or person.region.distance(region) < _NEAR / 2
        ]
        if not near:
            return None
        person = min(near, key=lambda each: each[0])[1]
        self._remembered.remove(person)
        return person

    def _lose(self, person: _Person) -> None:
        self._followed.remove(person)
        person.pose = None
        self._remembered.append(person)


def _plausible(region: Region, picture: UInt8[ndarray, "H W 3"]) -> bool:
    """Whether a region can be that of a body in the picture."""
    high, wide = picture.shape[:2]
    inside = 0 <= region.x < wide and 0 <= region.y < high
    return inside and bool(_SMALLEST <= region.side <= _LARGEST * max(high, wide))


def _on_one_body(one: _Person, two: _Person) -> bool:
    if one.pose is None or two.pose is None:
        return False
    apart = one.pose.picture[:, :2] - two.pose.picture[:, :2]
    side = max(one.region.side, two.region.side)
    return float(np.hypot(apart[:, 0], apart[:, 1]).mean()) < _SAME_BODY * side


def _less_expected(one: _Person, two: _Person) -> _Person:
    """Who of two on one body moves otherwise than the body: the newer one where both do not."""
    if min(one.age, two.age) < 2:
        return one if one.age < two.age else two
    return max((one, two), key=lambda each: each.surprise)
