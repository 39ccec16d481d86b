"""Motions of two persons who face each other; the first acts, the second is acted upon.

Each motion gives both poses and the distance in metres at which the two start. Times and lengths
are as in the motions of one person.
"""

from dataclasses import dataclass

from jaxtyping import Float64
from numpy import ndarray

from skelab.synthetic.body import Pose
from skelab.synthetic.performer import LEFT, RIGHT, Performance
from skelab.synthetic.solo import kick_with, walk

_ELBOW_DOWN = (0.7, -0.7, 0.0)
_ELBOW_BACK = (0.6, -0.3, -0.7)
_ELBOW_OUT = (1.0, -0.35, 0.0)
_GUARD = (0.12, 0.02, 0.26)


@dataclass(frozen=True)
class Duo:
    """What two persons do together.

    Attributes:
        first: Pose of the one whose number the clip carries.
        second: Pose of the other one.
        gap: How far apart they start, metres, face to face.
    """

    first: Pose
    second: Pose
    gap: float


def punching(first: Performance, second: Performance) -> Duo:
    """A fist to the other's face, who bends back, guards, and steps away."""
    hitter, hit = first.standing(), second.standing()
    sign = 1.0 if first.main == RIGHT else -1.0
    ready, strike, after = first.rise(0.14, 0.34), first.rise(0.38, 0.48), first.rise(0.54, 0.82)
    hitter.reach(first.main, first.near((0.25, -0.20, 0.10)), ready, elbow=_ELBOW_BACK)
    hitter.reach(first.main, first.near((0.0, 0.08, 0.52)), strike, elbow=_ELBOW_DOWN)
    hitter.reach(first.main, (0.22, -0.5, 0.08), after)
    hitter.twist += sign * first.size * (-0.35 * ready + 0.75 * strike - 0.40 * after)
    hitter.bend += 0.15 * (strike - after)
    hitter.step(first.other, (0.0, 0.0, 0.20), ready)
    hitter.pelvis[2] += 0.14 * ready
    recoil = second.hold(0.44, 0.54, 0.64, 0.90)
    hit.bend -= 0.42 * second.size * recoil
    hit.nod -= 0.25 * recoil
    for side in (LEFT, RIGHT):
        hit.reach(side, second.near(_GUARD), second.hold(0.46, 0.60, 0.72, 0.92), elbow=_ELBOW_DOWN)
    _give_way(hit, second, 0.22)
    return Duo(hitter, hit, first.draws.uniform(0.78, 0.92))


def kicking(first: Performance, second: Performance) -> Duo:
    """A kick at the other's belly, whose hips go back while the trunk folds."""
    kicker, kicked = first.standing(), second.standing()
    kick_with(kicker, first, height=0.55)
    fold = second.hold(0.46, 0.56, 0.66, 0.90)
    kicked.bend += 0.50 * second.size * fold
    kicked.pelvis[2] -= 0.18 * fold
    for side in (LEFT, RIGHT):
        kicked.reach(side, second.near((0.10, -0.34, 0.26)), fold)
    _give_way(kicked, second, 0.25)
    return Duo(kicker, kicked, first.draws.uniform(0.95, 1.10))


def pushing(first: Performance, second: Performance) -> Duo:
    """Both hands against the other's chest, who stumbles back with flying arms."""
    pusher, pushed = first.standing(), second.standing()
    ready, push, after = first.rise(0.12, 0.30), first.rise(0.34, 0.46), first.rise(0.56, 0.84)
    for side in (LEFT, RIGHT):
        pusher.reach(side, first.near((0.15, -0.12, 0.20)), ready, elbow=_ELBOW_DOWN)
        pusher.reach(side, first.near((0.14, -0.10, 0.50)), push)
        pusher.reach(side, (0.22, -0.5, 0.08), after)
        pushed.reach(side, (0.40, -0.15, 0.18), second.hold(0.42, 0.54, 0.62, 0.88))
    pusher.bend += first.size * (0.32 * push - 0.32 * after)
    pusher.step(first.other, (0.0, 0.0, 0.25), ready)
    pusher.pelvis[2] += 0.12 * push
    pushed.bend -= 0.28 * second.size * second.hold(0.42, 0.52, 0.60, 0.84)
    _give_way(pushed, second, 0.55)
    return Duo(pusher, pushed, first.draws.uniform(0.72, 0.84))


def hugging(first: Performance, second: Performance) -> Duo:
    """Both come close, put their arms around each other, and part again."""
    gap = first.draws.uniform(0.95, 1.25)
    poses = []
    for act, high in ((first, 0.02), (second, -0.12)):
        pose = act.standing()
        near = act.hold(0.06, 0.32, 0.74, 0.96)
        pose.travel += 0.5 * (gap - 0.34) * near
        walk(pose, pose.travel, act.hold(0.05, 0.14, 0.24, 0.34) + act.hold(0.72, 0.80, 0.90, 0.98))
        around = act.hold(0.16, 0.40, 0.66, 0.86)
        pat = around * act.bumps(3, 0.42, 0.66)
        for side in (LEFT, RIGHT):
            pose.reach(side, act.near((0.05, high, 0.40)), around, elbow=_ELBOW_OUT)
        pose.wrists[2] -= 0.05 * act.size * pat
        pose.bend += 0.14 * around
        poses.append(pose)
    return Duo(poses[0], poses[1], gap)


def handshaking(first: Performance, second: Performance) -> Duo:
    """Right hands meet in the middle, go up and down, and part."""
    gap = first.draws.uniform(0.90, 1.02)
    poses = []
    shake = first.swing(first.draws.integer(3, 5), 0.34, 0.72)
    height = first.draws.uniform(-0.28, -0.18)
    for act in (first, second):
        pose = act.standing()
        together = act.hold(0.10, 0.32, 0.74, 0.94)
        pose.reach(RIGHT, act.near((0.12, height, 0.42), 0.01), together, elbow=_ELBOW_DOWN)
        pose.wrists[1, RIGHT] += 0.07 * first.size * together * shake
        pose.bend += 0.10 * together
        poses.append(pose)
    return Duo(poses[0], poses[1], gap)


def walking_towards(first: Performance, second: Performance) -> Duo:
    """From far apart until they could shake hands."""
    gap = first.draws.uniform(2.2, 2.8)
    poses = []
    for act in (first, second):
        pose = act.standing()
        pose.travel += 0.5 * (gap - act.draws.uniform(0.75, 0.95)) * act.rise(0.02, 0.94)
        walk(pose, pose.travel, act.hold(0.04, 0.20, 0.78, 0.92))
        poses.append(pose)
    return Duo(poses[0], poses[1], gap)


def walking_apart(first: Performance, second: Performance) -> Duo:
    """From face to face: each turns round and walks away."""
    gap = first.draws.uniform(0.75, 0.95)
    poses = []
    for act in (first, second):
        pose = act.standing()
        pose.turn += act.draws.choice((-1.0, 1.0)) * 3.0 * act.rise(0.04, 0.42)
        pose.travel -= act.draws.uniform(0.75, 0.95) * act.rise(0.18, 0.98)
        walk(pose, pose.travel, act.hold(0.16, 0.32, 0.86, 0.98))
        poses.append(pose)
    return Duo(poses[0], poses[1], gap)


def _give_way(pose: Pose, act: Performance, distance: float) -> None:
    """Step back from a blow that falls at 0.46."""
    away = act.rise(0.45, 0.70)
    pose.travel -= distance * act.size * away
    backward: Float64[ndarray, " T"] = -pose.travel
    walk(pose, backward, act.hold(0.44, 0.52, 0.62, 0.74))
