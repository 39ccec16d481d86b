"""Our preprocessing: actors are chosen as by the authors, and the time base is kept.

CTR-GCN's preprocessing moves frames in time and loses gaps; MS-G3D's identifies persons by list
position and ends at 300 frames. Here every pose stays in the frame in which it was recorded.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise, permutations
from typing import Final

import numpy as np
from jaxtyping import Bool, Float32, Int32
from numpy import ndarray

from skelab.data.clips.clip import BodyTrack, Clip, RawClip, SampleInfo
from skelab.data.preprocessing.base import (
    ANONYMOUS,
    Pipeline,
    check_recording,
    drop_absent_bodies,
)
from skelab.errors import DataError, NoBodyError
from skelab.skeleton import Layout

_ACTORS: Final = 2
_MIN_FRAMES: Final = 12  # for a person among several
_MAX_SPREAD: Final = 0.8  # width over height of a plausible pose
_MAX_INVALID: Final = 0.69754  # share of a person's poses that may exceed the spread
_NEAR, _STRIDE, _FAR = 0.15, 0.03, 0.45  # body sizes: at once, more per frame, at most


@dataclass(frozen=True)
class Person:
    """One person of a recording, under one body id or several.

    Attributes:
        bodies: The ids.
        frames: Frames of the recording with the person, ascending.
        joints: One pose per frame, as recorded.
    """

    bodies: tuple[str, ...]
    frames: Int32[ndarray, " F"]
    joints: Float32[ndarray, "F V 3"]


def prepare_clean(raw: RawClip, layout: Layout, info: SampleInfo = ANONYMOUS) -> Clip:
    """Choose up to two actors, keep the time base, and move the spine to the origin.

    The steps, with the behaviour of ``ctrgcn`` in parentheses:

    1. A pose with all joints zero is discarded. (It becomes minus the origin in a recording with
       one body.)
    2. Ids are merged to one person if they share no frame and each continues where the other was:
       within 0.15 body sizes, plus 0.03 per frame between, at most 0.45. (Ids are joined wherever
       their first and last frames do not overlap, at any distance; actor 2 counts as present
       from the first frame.)
    3. Of several persons, those of fewer than 12 frames are dropped, then those whose pose is wider
       than 0.8 of its height in at least 69.754 % of their frames; the best of them is kept if
       none would remain. (The same, but it fails if all bodies are too short.)
    4. The two persons with the most motion are the actors, in this order. (All bodies that fit
       are joined to two actors.)
    5. Frames before the first and after the last appearance of an actor are dropped; frames
       without an actor in between remain, as zeros. (They are cut out, and the later frames of a
       body that returns move forward in time.)
    6. The origin joint of actor 1 in its first frame becomes (0, 0, 0); absent poses stay zero.

    Recordings may have any length. Steps 2 to 4 are skipped if the data set provides chosen actors.

    Args:
        raw: A recording with three-dimensional joints.
        layout: Its layout; ``layout.origin`` is the joint that moves to the origin.
        info: What is known of the sample.

    Returns:
        Up to two actors (all of them if the data set has chosen), in the units of the recording.
        Frame numbers are those of the recording, without gaps.

    Raises:
        NoBodyError: No frame has a body.
        DataError: A body occurs several times in one frame, or a joint is not of the layout.

    Source: ours; thresholds of steps 3 and 6 of Uason-Chen/CTR-GCN@e13d758, ``data/ntu``.
    """
    check_recording(raw, layout)
    tracked = [_person(body, track) for body, track in raw.bodies.items()]
    if not any(len(person.frames) for person in tracked):
        raise NoBodyError("expected a body in at least one frame, found only zeros")
    actors = tracked if raw.actors_chosen else choose_actors(tracked, layout)
    joints, start = _place(actors)
    frames = np.arange(start, start + joints.shape[1], dtype=np.int32)
    return Clip(info, drop_absent_bodies(_translate(joints, layout.origin)), frames)


def choose_actors(tracked: Sequence[Person], layout: Layout) -> list[Person]:
    """Choose one or two actors, by decreasing motion; steps 2 to 4 of ``prepare_clean``.

    Args:
        tracked: One entry per body id, at least one with a pose.
        layout: Its origin joint is the position of a person.
    """
    persons = merge_ids([person for person in tracked if len(person.frames)], layout.origin)
    long_enough = [person for person in persons if len(person.frames) >= _MIN_FRAMES]
    persons = long_enough or [max(persons, key=lambda person: len(person.frames))]
    upright = [person for person in persons if _invalid_share(person) < _MAX_INVALID]
    persons = upright or [min(persons, key=_invalid_share)]
    return sorted(persons, key=_motion, reverse=True)[:_ACTORS]


def merge_ids(tracked: Sequence[Person], origin: int) -> list[Person]:
    """Merge ids of one person, best fit first; step 2 of ``prepare_clean``.

    Args:
        tracked: One entry per body id, each with a pose.
        origin: The joint that is the position of a person.
    """
    persons = list(tracked)
    while True:
        fits = [
            (jump, number, other)
            for (number, one), (other, two) in permutations(enumerate(persons), 2)
            if number < other and (jump := _jump(one, two, origin)) is not None
        ]
        if not fits:
            return persons
        _, number, other = min(fits)
        persons[number] = _joined(persons[number], persons[other])
        del persons[other]


def _person(body: str, track: BodyTrack) -> Person:
    """The person of one body id, without zero poses."""
    joints = track.joints.astype(np.float32)
    present = joints.any(axis=(1, 2))
    frames = track.frames[present]
    if (np.diff(frames) == 0).any():
        raise DataError(f"body {body}: expected at most one pose a frame, found several in one")
    return Person((body,), frames, joints[present])


def _jump(one: Person, two: Person, origin: int) -> float | None:
    """The longest jump between two persons relative to the limit; None if they are distinct."""
    frames = np.concatenate([one.frames, two.frames])
    if len(np.unique(frames)) != len(frames):
        return None
    order = frames.argsort()
    frames = frames[order]
    owner = np.repeat((0, 1), (len(one.frames), len(two.frames)))[order]
    joints = np.concatenate([one.joints, two.joints])[order]
    longest = 0.0
    for before, after in pairwise(range(len(frames))):
        if owner[before] == owner[after]:
            continue
        size = float(np.ptp(joints[before], axis=0).max())
        way = float(np.linalg.norm(joints[after, origin] - joints[before, origin]))
        allowed = size * min(_NEAR + _STRIDE * int(frames[after] - frames[before]), _FAR)
        if way > allowed:
            return None
        longest = max(longest, way / allowed)
    return longest


def _joined(one: Person, two: Person) -> Person:
    frames = np.concatenate([one.frames, two.frames])
    order = frames.argsort()
    joints = np.concatenate([one.joints, two.joints])
    return Person((*one.bodies, *two.bodies), frames[order], joints[order])


def _plausible(person: Person) -> Bool[ndarray, " F"]:
    """Mask of poses that are at most 0.8 times as wide as high."""
    extent = np.ptp(person.joints[..., :2], axis=1)  # F 2
    return np.asarray(extent[:, 0] <= np.float32(_MAX_SPREAD) * extent[:, 1])


def _invalid_share(person: Person) -> float:
    return 1.0 - float(_plausible(person).mean())


def _motion(person: Person) -> float:
    """Variance of the coordinates, summed over the axes; the lower of all and plausible poses."""
    plausible = _plausible(person)
    chosen = (person.joints, person.joints[plausible]) if plausible.any() else (person.joints,)
    return min(float(poses.reshape(-1, 3).astype(np.float64).var(0).sum()) for poses in chosen)


def _place(actors: Sequence[Person]) -> tuple[Float32[ndarray, "M T V 3"], int]:
    """The actors on the time axis, and the number of their first frame."""
    seen = np.concatenate([actor.frames for actor in actors])
    start, end = int(seen.min()), int(seen.max())
    shape = (len(actors), end - start + 1, *actors[0].joints.shape[1:])
    joints = np.zeros(shape, dtype=np.float32)
    for place, actor in zip(joints, actors, strict=True):
        place[actor.frames - start] = actor.joints
    return joints, start


def _translate(joints: Float32[ndarray, "M T V 3"], origin: int) -> Float32[ndarray, "M T V 3"]:
    """Subtract the first position of actor 1's origin joint; absent poses stay zero."""
    present: Bool[ndarray, "M T"] = (joints != 0).any(axis=(2, 3))
    actor = int(np.count_nonzero(present, axis=1).astype(bool).argmax())
    where = joints[actor, int(present[actor].argmax()), origin]
    return np.asarray((joints - where) * present[..., None, None])


CLEAN = Pipeline(
    name="clean",
    title="ours: two actors in the time of the recording, gaps kept, origin at the first spine",
    source="ours",
    prepare=prepare_clean,
    keeps_gaps=True,
)
