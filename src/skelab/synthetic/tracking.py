"""Simulated tracking errors: noise, inferred joints; lost, renamed and spurious bodies."""

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Bool, Float64, Int8, Int64
from numpy import ndarray

from skelab.data.recordings.sample_name import parse_sample_name
from skelab.errors import DataError
from skelab.skeleton import get_layout
from skelab.synthetic.camera import camera_of
from skelab.synthetic.exact import Draws
from skelab.synthetic.names import NUM_CAMERAS, NUM_REPLICATIONS, NUM_SETUPS
from skelab.synthetic.performer import NUM_PERFORMERS
from skelab.synthetic.scene import make_take

TRACKED, INFERRED = 2, 1

# Frequency of each fault, per clip.
_SWAPPED, _RENAMED, _LOST, _EMPTY, _GHOST, _OBJECT = 0.15, 0.07, 0.07, 0.07, 0.09, 0.06
_LEAST_PIECE = 15  # frames under one id, so that it is not mistaken for a ghost

_FIRST_ID = 2**56  # ids of the Kinect v2 lie a little above
_WHITE, _DRIFT = 0.0022, 0.0045  # metres, at 3 m
_KNOT = 10  # frames from one knot of the drift to the next
_DEPTH_NOISE = (1.0, 1.0, 1.5)
_WHEN_INFERRED = 3.0

_LAYOUT = get_layout("ntu25")


def _unsteadiness() -> Float64[ndarray, " 25"]:
    """Jitter of each joint relative to the trunk."""
    words = {"elbow": 1.3, "knee": 1.2, "ankle": 1.6, "foot": 1.8}
    words |= {"wrist": 1.7, "hand": 1.9, "thumb": 1.9}
    return np.array(
        [max([1.0, *(words[w] for w in words if w in name)]) for name in _LAYOUT.joints]
    )


_UNSTEADY = _unsteadiness()
_LIMBS = tuple(
    tuple(_LAYOUT.joint(name) for name in names)
    for side in ("left", "right")
    for names in (
        (f"{side} elbow", f"{side} wrist", f"{side} hand", f"tip of {side} hand", f"{side} thumb"),
        (f"{side} hand", f"tip of {side} hand", f"{side} thumb"),
        (f"{side} ankle", f"{side} foot"),
    )
)
# Hands, tips and thumbs drift with the wrist, feet with the ankle.
_HELD = {
    _LAYOUT.joint(end): _LAYOUT.joint(f"{side} {holder}")
    for side in ("left", "right")
    for end, holder in (
        (f"{side} hand", "wrist"),
        (f"tip of {side} hand", "wrist"),
        (f"{side} thumb", "wrist"),
        (f"{side} foot", "ankle"),
    )
}
_ENDS, _HELD_BY = list(_HELD), list(_HELD.values())
_FAR_ARM = {"left": _LIMBS[0], "right": _LIMBS[3]}


@dataclass(frozen=True)
class Recording:
    """The content of a file: poses in file order.

    Attributes:
        num_frames: Frames, those without a body included.
        frames: Frame of each pose, from 0; non-decreasing.
        ids: Body id of each pose.
        joints: Layout ``ntu25``, metres, in the camera's frame.
        states: 2 tracked, 1 inferred.
        faults: What went wrong: ``"swapped"`` order of the bodies, ``"renamed"`` body, body
            ``"lost"`` for a time, ``"empty"`` frames, a ``"ghost"``, an ``"object"``.
    """

    num_frames: int
    frames: Int64[ndarray, " P"]
    ids: Int64[ndarray, " P"]
    joints: Float64[ndarray, "P 25 3"]
    states: Int8[ndarray, "P 25"]
    faults: frozenset[str]


@dataclass
class _Tracks:
    """B bodies over T frames, to which faults are applied."""

    joints: Float64[ndarray, "B T 25 3"]
    states: Int8[ndarray, "B T 25"]
    present: Bool[ndarray, "B T"]
    ids: Int64[ndarray, "B T"]
    faults: set[str] = field(default_factory=set)

    @property
    def num_frames(self) -> int:
        return int(self.present.shape[1])


def record(name: str, *, seed: int) -> Recording:
    """The recording of a file name; it depends on name and seed only.

    Args:
        name: ``SsssCcccPpppRrrrAaaa`` of up to 17 setups, 3 cameras and 40 performers, with an
            action that can be made. The cameras of a take see the same motion.
        seed: Seed of the set, 0 or more.

    Raises:
        DataError: The name is malformed or out of range, the action cannot be made, or the seed
            is negative.
    """
    if seed < 0:
        raise DataError(f"seed: expected 0 or more, found {seed}")
    info = parse_sample_name(name)
    setup = _within(name, "setup", info.setup, NUM_SETUPS)
    camera = _within(name, "camera", info.camera, NUM_CAMERAS)
    performer = _within(name, "performer", info.subject, NUM_PERFORMERS)
    replication = _within(name, "replication", info.replication, NUM_REPLICATIONS)
    action = (info.label or 0) + 1
    take = make_take(action, performer, replication, setup, seed)
    seen = camera_of(setup, camera, seed=seed).sees(take.joints)
    draws = Draws(seed, "recording", name)
    joints = np.ascontiguousarray(seen.transpose(0, 3, 2, 1))  # B T 25 3
    tracks = _Tracks(
        joints=joints,
        states=_states(joints, draws),
        present=np.ones(joints.shape[:2], dtype=bool),
        ids=np.repeat(_new_ids(len(joints), draws)[:, None], joints.shape[1], axis=1),
    )
    _tremble(tracks, draws)
    _spoil(tracks, draws)
    return _listed(tracks)


def _within(name: str, part: str, number: int | None, most: int) -> int:
    if number is None or not 1 <= number <= most:
        raise DataError(f"{name}: expected a {part} from 1 to {most}, found {number}")
    return number


def _new_ids(count: int, draws: Draws) -> Int64[ndarray, " B"]:
    start, steps = _FIRST_ID + draws.integer(2_000, 60_000), draws.integer(1, 40)
    return np.arange(count, dtype=np.int64) * steps + start


def _states(joints: Float64[ndarray, "B T 25 3"], draws: Draws) -> Int8[ndarray, "B T 25"]:
    """Limbs that are inferred for a time; the far arm of a body seen from the side for longer."""
    states = np.full(joints.shape[:3], TRACKED, dtype=np.int8)
    frames = joints.shape[1]
    for body, track in enumerate(joints):
        for _ in range(draws.integer(0, 3)):
            limb = draws.choice(_LIMBS)
            start = draws.integer(0, frames - 5)
            states[body, start : start + draws.integer(4, 18), limb] = INFERRED
        left, right = track[frames // 2, 4], track[frames // 2, 8]
        aside = abs(float(left[2] - right[2])) > abs(float(left[0] - right[0]))
        if aside and draws.happens(0.6):
            far = "left" if left[2] > right[2] else "right"
            start = draws.integer(0, frames // 2)
            states[body, start : start + frames // 2, _FAR_ARM[far]] = INFERRED
    return states


def _tremble(tracks: _Tracks, draws: Draws) -> None:
    """Add white noise, and a drift that is larger where joints are inferred."""
    bodies, frames = tracks.present.shape
    knots = draws.normals(bodies, frames // _KNOT + 2, 25, 3)
    knots[:, :, _ENDS] = knots[:, :, _HELD_BY] + 0.4 * knots[:, :, _ENDS]
    where = np.arange(frames)
    left, share = where // _KNOT, (where % _KNOT)[:, None, None] * (1.0 / _KNOT)
    drift = knots[:, left] * (1.0 - share) + knots[:, left + 1] * share
    noise = _WHITE * draws.normals(bodies, frames, 25, 3)
    amount = np.where(tracks.states == INFERRED, _DRIFT * _WHEN_INFERRED, _DRIFT)
    noise += drift * amount[..., None]
    size = _UNSTEADY * (0.4 + 0.2 * tracks.joints[..., 2])
    tracks.joints = tracks.joints + noise * size[..., None] * np.array(_DEPTH_NOISE)


def _spoil(tracks: _Tracks, draws: Draws) -> None:
    """Apply faults, each with its own probability."""
    chances = [draws.uniform() for _ in range(6)]
    frames = tracks.num_frames
    if len(tracks.joints) == 2 and chances[0] < _SWAPPED:
        _swap(tracks, draws.integer(5, frames - 5))
    if chances[1] < _RENAMED:
        start = draws.integer(_LEAST_PIECE, frames - _LEAST_PIECE)
        tracks.ids[draws.integer(0, len(tracks.joints) - 1), start:] = (
            _new_ids(1, draws)[0] + 70_000
        )
        tracks.faults.add("renamed")
    if chances[2] < _LOST and "renamed" not in tracks.faults:  # a short piece is enough
        start, away = draws.integer(8, frames - 20), draws.integer(3, 10)
        tracks.present[draws.integer(0, len(tracks.joints) - 1), start : start + away] = False
        tracks.faults.add("lost")
    if chances[3] < _EMPTY:
        start = draws.choice((0, 0, draws.integer(0, frames - 6)))
        tracks.present[:, start : start + draws.integer(1, 5)] = False
        tracks.faults.add("empty")
    if chances[4] < _GHOST:
        _add_ghost(tracks, draws)
    if chances[5] < _OBJECT:
        _add_object(tracks, draws)


def _swap(tracks: _Tracks, start: int) -> None:
    """Swap the order of the two bodies from a frame on."""
    for values in (tracks.joints, tracks.states, tracks.ids):
        values[:, start:] = values[::-1, start:].copy()
    tracks.faults.add("swapped")


def _add_ghost(tracks: _Tracks, draws: Draws) -> None:
    """Add a ghost: a jittery copy beside a body for a few frames."""
    start, length = draws.integer(0, tracks.num_frames - 11), draws.integer(2, 10)
    present = np.zeros(tracks.num_frames, dtype=bool)
    present[start : start + length] = True
    aside = draws.choice((-1.0, 1.0)) * draws.uniform(0.3, 0.8)
    shift = np.array([aside, draws.uniform(-0.1, 0.1), draws.uniform(-0.2, 0.4)])
    joints = tracks.joints[0] + shift + 0.05 * draws.normals(tracks.num_frames, 25, 3)
    _append(tracks, joints, present, draws)
    tracks.faults.add("ghost")


def _add_object(tracks: _Tracks, draws: Draws) -> None:
    """An object detected as a body, say a table: flat, still, in the background."""
    frames = tracks.num_frames
    present = np.zeros(frames, dtype=bool)
    start = draws.integer(0, frames // 3)
    present[start : start + draws.integer(frames // 2, frames)] = True
    body = tracks.joints[0, 0] - tracks.joints[0, 0, 1]
    place = [draws.uniform(-1.2, 1.2), draws.uniform(-0.8, -0.3), draws.uniform(3.6, 4.6)]
    flat = np.stack([body[:, 1], 0.35 * body[:, 0], 0.5 * body[:, 2]], axis=1) + np.array(place)
    joints = flat + 0.008 * draws.normals(frames, 25, 3)
    _append(tracks, joints, present, draws)
    tracks.faults.add("object")


def _append(
    tracks: _Tracks,
    joints: Float64[ndarray, "T 25 3"],
    present: Bool[ndarray, " T"],
    draws: Draws,
) -> None:
    states = np.full((1, *joints.shape[:2]), INFERRED, dtype=np.int8)
    ids = np.full((1, len(joints)), _new_ids(1, draws)[0] + 150_000 + len(tracks.ids) * 70_000)
    tracks.joints = np.concatenate([tracks.joints, joints[None]])
    tracks.states = np.concatenate([tracks.states, states])
    tracks.present = np.concatenate([tracks.present, present[None]])
    tracks.ids = np.concatenate([tracks.ids, ids])


def _listed(tracks: _Tracks) -> Recording:
    """Poses frame by frame; in each frame the bodies in the order of the tracks."""
    frames, bodies = np.nonzero(tracks.present.T)
    return Recording(
        num_frames=tracks.num_frames,
        frames=frames,
        ids=tracks.ids[bodies, frames],
        joints=tracks.joints[bodies, frames],
        states=tracks.states[bodies, frames],
        faults=frozenset(tracks.faults),
    )
