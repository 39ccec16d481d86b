"""CTR-GCN's preprocessing: noise bodies removed, two actors, spine at the origin.

Comparisons and sums are float32, as in the authors' code, because some decide whether a body or a
frame is kept.

Source: Chen et al., ICCV 2021 (arXiv:2107.12213); Uason-Chen/CTR-GCN@e13d758, ``data/ntu``.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float32, Int32
from numpy import ndarray

from skelab.data.clips.clip import Clip, RawClip, SampleInfo
from skelab.data.preprocessing.base import (
    ANONYMOUS,
    Pipeline,
    RecordingText,
    check_recording,
    drop_absent_bodies,
)
from skelab.errors import DataError, NoBodyError
from skelab.native import can_prepare, column_variances, prepare_recordings
from skelab.skeleton import Layout

_KINECT_JOINTS = 25  # of a ``.skeleton`` file
_MIN_FRAMES = 12  # for a body among several
_MAX_SPREAD = np.float32(0.8)  # width over height of a plausible pose
_MAX_INVALID = 0.69754  # share of a body's frames that may exceed the spread


@dataclass(frozen=True)
class TrackedBody:
    """One body id of a recording, without its gaps.

    Attributes:
        body: The id.
        start: First frame, counted over frames that have any body.
        joints: One pose per frame from ``start``, without gaps.
        motion: Variance of the coordinates, summed over the axes, in square metres.
    """

    body: str
    start: int
    joints: Float32[ndarray, "F V 3"]
    motion: float

    @property
    def end(self) -> int:
        """Last frame, inclusive."""
        return self.start + len(self.joints) - 1


@dataclass(frozen=True)
class BodyChoice:
    """The bodies of a recording that became actors, and why the others did not.

    Attributes:
        tracked: Every body with its motion as first computed, in order of first appearance.
        dropped: Body id and ``"length"`` or ``"spread"``, in the order of dropping.
        motions: Motion of each kept body, over its plausible frames.
        actors: The bodies that form actor 1 and, if there is one, actor 2.
        unused: Kept bodies that overlap both actors.
        single: Only one body remained, so that there is no second actor.
    """

    tracked: tuple[TrackedBody, ...]
    dropped: tuple[tuple[str, str], ...]
    motions: tuple[tuple[str, float], ...]
    actors: tuple[tuple[TrackedBody, ...], ...]
    unused: tuple[str, ...]
    single: bool


def prepare_ctrgcn(raw: RawClip, layout: Layout, info: SampleInfo = ANONYMOUS) -> Clip:
    """Choose up to two actors, drop empty frames, and move the spine to the origin.

    Padded with zeros to the authors' length and two bodies, the result equals their arrays bit for
    bit, including their quirks: the later frames of a body that returns move forward in time,
    actor 2 counts as present from frame 0, and an empty frame of a recording with one body becomes
    minus the origin. If the data set provides chosen actors, nothing is dropped or moved in time;
    only the origin moves.

    Args:
        raw: A recording with three-dimensional joints.
        layout: Its layout; ``layout.origin`` of actor 1 in its first non-empty frame becomes
            (0, 0, 0).
        info: What is known of the sample.

    Returns:
        Up to two actors (all of them if the data set has chosen), in the units of the recording.
        Frame numbers are those of frames with a body; a body that was moved in time has the
        numbers of its new frames.

    Raises:
        NoBodyError: No frame has a body.
        DataError: Every body is at most 11 frames long (the authors' program fails there), or a
            body occurs several times in one frame.

    Source: Uason-Chen/CTR-GCN@e13d758, ``data/ntu/get_raw_skes_data.py``,
    ``get_raw_denoised_data.py``, ``seq_transformation.py``.
    """
    check_recording(raw, layout)
    present = _frames_with_body(raw)
    if raw.actors_chosen:
        joints = _as_chosen(raw, present)
        filtered = False
    else:
        choice = _choose(_close_up(raw, present))
        joints = _place_actors(choice, len(present))
        filtered = len(choice.tracked) > 1
    if filtered:
        kept = _frame_sums(joints) != 0
        joints, present = joints[:, kept], present[kept]
    return Clip(info, drop_absent_bodies(_translate(joints, layout.origin)), present)


def prepare_texts(
    texts: Sequence[RecordingText], layout: Layout, infos: Sequence[SampleInfo]
) -> list[Clip | None]:
    """Read and prepare ``.skeleton`` files as ``parse_skeleton`` and ``prepare`` do, compiled.

    Args:
        texts: Path or content of each ``.skeleton`` file.
        layout: The joints; ``layout.origin`` of actor 1 becomes (0, 0, 0).
        infos: What is known of each.

    Returns:
        The results of ``prepare_ctrgcn``, bit for bit; None for a file that Python has to handle:
        it cannot be read, is unusual or damaged, no body is left, or no kernel was compiled.

    Source: as :func:`prepare_ctrgcn`.
    """
    if not can_prepare() or layout.num_joints != _KINECT_JOINTS:
        return [None] * len(texts)
    found = prepare_recordings(texts, layout.origin)
    return [
        None if arrays is None else Clip(info, *arrays)
        for info, arrays in zip(infos, found, strict=True)
    ]


def choose_bodies(raw: RawClip) -> BodyChoice:
    """Choose the bodies of a recording that are its actors.

    A single body is always kept. Of several, bodies of at most 11 frames are dropped, then bodies
    whose pose is wider than 0.8 of its height in at least 69.754 % of their frames; the last
    remaining body is kept. The rest are ordered by decreasing motion: the first is actor 1, and
    each further one continues actor 1, or else actor 2, where it does not overlap.

    Raises:
        DataError: Every body is at most 11 frames long.

    Source: Uason-Chen/CTR-GCN@e13d758, ``data/ntu``.
    """
    return _choose(_close_up(raw, _frames_with_body(raw)))


def _choose(tracked: tuple[TrackedBody, ...]) -> BodyChoice:
    if len(tracked) == 1:
        return BodyChoice(tracked, (), (), (tracked,), (), single=True)
    dropped = [(body.body, "length") for body in tracked if len(body.joints) < _MIN_FRAMES]
    left = [body for body in tracked if len(body.joints) >= _MIN_FRAMES]
    if not left:
        raise DataError(
            f"expected a body of at least {_MIN_FRAMES} frames among {len(tracked)} bodies, found"
            f" at most {max(len(body.joints) for body in tracked)} frames"
        )
    left, flat = _filter_by_spread(left)
    dropped += [(body.body, "spread") for body in flat]
    left.sort(key=lambda body: body.motion, reverse=True)
    motions = tuple((body.body, body.motion) for body in left)
    actors, unused = _assign(left)
    return BodyChoice(tracked, tuple(dropped), motions, actors, unused, single=len(left) == 1)


def _frames_with_body(raw: RawClip) -> Int32[ndarray, " T"]:
    """Numbers of the frames with a body, ascending."""
    tracks = [track for track in raw.bodies.values() if len(track.frames)]
    if len(tracks) == 1 and (np.diff(tracks[0].frames) > 0).all():
        return tracks[0].frames
    standing = np.zeros(1 + max(int(track.frames[-1]) for track in tracks), dtype=bool)
    for track in tracks:
        standing[track.frames] = True
    return np.flatnonzero(standing).astype(np.int32)


def _close_up(raw: RawClip, present: Int32[ndarray, " T"]) -> tuple[TrackedBody, ...]:
    """Each body from its first frame on, with gaps closed."""
    several = len(raw.bodies) > 1
    tracked = []
    for body, track in raw.bodies.items():
        if not len(track.frames):
            continue
        joints = track.joints.astype(np.float32)
        start = int(np.searchsorted(present, track.frames[0]))
        motion = _variance(joints) if several else 0.0
        closed = TrackedBody(body, start, joints, motion)
        if closed.end >= len(present):
            raise DataError(
                f"body {body}: expected at most one pose a frame, found {len(joints)} poses in"
                f" {len(present) - start} frames"
            )
        tracked.append(closed)
    return tuple(tracked)


def _variance(joints: Float32[ndarray, "F V 3"]) -> float:
    """Population variance over all frames and joints, summed over the axes."""
    return float(np.sum(column_variances(joints.reshape(-1, 3))))


def _filter_by_spread(
    bodies: list[TrackedBody],
) -> tuple[list[TrackedBody], list[TrackedBody]]:
    """Bodies with a plausible pose, their motion over plausible frames; and the other bodies."""
    kept = list(bodies)
    dropped = []
    for body in bodies:
        if len(kept) == 1:
            break
        valid = _plausible(body.joints)
        invalid = int(np.count_nonzero(~valid))
        if not invalid:
            continue
        if invalid / len(valid) >= _MAX_INVALID:
            kept.remove(body)
            dropped.append(body)
        else:
            motion = min(body.motion, _variance(body.joints[valid]))
            kept[kept.index(body)] = replace(body, motion=motion)
    return kept, dropped


def _plausible(joints: Float32[ndarray, "F V 3"]) -> Bool[ndarray, " F"]:
    """Mask of frames in which the body is at most 0.8 times as wide as high."""
    width, height = np.ptp(np.ascontiguousarray(joints[..., :2].transpose(2, 1, 0)), axis=1)
    return np.asarray(width <= _MAX_SPREAD * height)


def _assign(
    bodies: Sequence[TrackedBody],
) -> tuple[tuple[tuple[TrackedBody, ...], ...], tuple[str, ...]]:
    """Assign bodies, by decreasing motion, to actor 1, actor 2 or neither."""
    first, *others = bodies
    actors: tuple[list[TrackedBody], list[TrackedBody]] = ([first], [])
    hulls = [(first.start, first.end), (0, 0)]  # actor 2 counts as covered from frame 0
    unused = []
    for body in others:
        for number, (start, end) in enumerate(hulls):
            if min(end, body.end) - max(start, body.start) <= 0:  # one shared frame is no overlap
                actors[number].append(body)
                hulls[number] = (min(start, body.start), max(end, body.end))
                break
        else:
            unused.append(body.body)
    return tuple(tuple(actor) for actor in actors if actor), tuple(unused)


def _place_actors(choice: BodyChoice, frames: int) -> Float32[ndarray, "M T V 3"]:
    """The actors on the time axis; later bodies overwrite shared frames."""
    num_joints = choice.tracked[0].joints.shape[1]
    places = 1 if choice.single else 2
    joints = np.zeros((places, frames, num_joints, 3), dtype=np.float32)
    for place, bodies in zip(joints, choice.actors, strict=False):
        for body in bodies:
            place[body.start : body.end + 1] = body.joints
    return joints


def _as_chosen(raw: RawClip, present: Int32[ndarray, " T"]) -> Float32[ndarray, "M T V 3"]:
    """Every body, where and when it was recorded."""
    shape = next(iter(raw.bodies.values())).joints.shape[1:]
    joints = np.zeros((len(raw.bodies), len(present), *shape), dtype=np.float32)
    for place, track in zip(joints, raw.bodies.values(), strict=True):
        place[np.searchsorted(present, track.frames)] = track.joints
    return joints


def _frame_sums(joints: Float32[ndarray, "M T V 3"]) -> Float32[ndarray, " T"]:
    """The sum of each frame over bodies, joints and axes, added in the authors' order."""
    rows = np.ascontiguousarray(joints.transpose(1, 0, 2, 3))
    return np.asarray(rows.reshape(len(rows), -1).sum(axis=1))


def _translate(
    joints: Float32[ndarray, "M T V 3"], origin_joint: int
) -> Float32[ndarray, "M T V 3"]:
    """Subtract the first position of actor 1's origin joint; empty frames of a pair stay empty."""
    first = next((frame for frame in joints[0] if frame.any()), None)
    if first is None:
        raise NoBodyError("expected a body in at least one frame, found only zeros for actor 1")
    moved = np.asarray(joints - first[origin_joint])
    if len(joints) > 1:
        empty = joints.reshape(*joints.shape[:2], -1).sum(axis=2) == 0
        if empty.any():
            moved[empty] = 0
    return moved


CTRGCN = Pipeline(
    name="ctrgcn",
    title="CTR-GCN's: noise bodies dropped, two actors, origin at the first spine",
    source="arXiv:2107.12213; Uason-Chen/CTR-GCN@e13d758, data/ntu",
    prepare=prepare_ctrgcn,
    prepare_texts=prepare_texts,
)
