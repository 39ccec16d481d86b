"""Motions of one person: what moves where, from when to when.

Times are of the performance's clock (0 first frame, 1 last); lengths in metres of a 1.70 m body;
wrists from the spine at the shoulders: out, up, forward.
"""

from jaxtyping import Float64
from numpy import maximum, ndarray

from skelab.synthetic.body import Pose
from skelab.synthetic.exact import TURN, sine_cosine
from skelab.synthetic.performer import LEFT, RIGHT, Performance

_MOUTH = (0.05, 0.07, 0.17)
_CROWN = (0.11, 0.30, 0.06)
_TEMPLE = (0.11, 0.17, 0.13)
_BEFORE_CHEST = (0.04, -0.15, 0.33)
_BEFORE_BELLY = (0.06, -0.28, 0.30)
_LAP = (0.14, -0.37, 0.26)
_ASIDE = (0.36, 0.20, 0.17)
_OVERHEAD = (0.24, 0.40, 0.04)
_ELBOW_OUT = (0.9, -0.45, 0.3)
_ELBOW_DOWN = (0.7, -0.7, 0.0)
_ELBOW_ASIDE = (0.95, -0.3, -0.1)
_ELBOW_UP = (1.0, 0.1, 0.2)


def drink_water(act: Performance) -> Pose:
    """One hand to the mouth, the head goes back, the hand comes down."""
    pose = act.standing()
    pose.reach(act.main, act.near(_MOUTH), act.hold(0.12, 0.36, 0.68, 0.90), elbow=_ELBOW_OUT)
    pose.nod -= 0.40 * act.size * act.hold(0.34, 0.48, 0.60, 0.72)
    return pose


def pick_up(act: Performance) -> Pose:
    """Down with trunk and knees, one hand to the floor, and up again with what it holds."""
    pose = act.standing()
    down = act.hold(0.10, 0.42, 0.52, 0.86)
    pose.bend += 1.15 * down
    pose.pelvis[1] -= 0.30 * act.size * down
    pose.pelvis[2] -= 0.14 * down
    pose.reach(act.main, act.near((0.13, -0.22, 0.46)), down)
    pose.reach(act.other, act.near((0.17, -0.36, 0.24)), down)
    pose.reach(act.main, act.near((0.15, -0.30, 0.28)), 0.8 * act.rise(0.62, 0.92))
    return pose


def throw(act: Performance) -> Pose:
    """One arm back over the shoulder, then forward fast; the other foot steps ahead."""
    pose = act.standing()
    sign = -1.0 if act.main == RIGHT else 1.0
    back, release, after = act.rise(0.12, 0.38), act.rise(0.42, 0.54), act.rise(0.60, 0.88)
    pose.reach(act.main, act.near((0.36, 0.20, -0.16)), back, elbow=(1.0, -0.1, -0.2))
    pose.reach(act.main, act.near((0.06, 0.06, 0.50)), release, elbow=_ELBOW_DOWN)
    pose.reach(act.main, act.near((0.20, -0.50, 0.10)), after)
    pose.twist += act.size * sign * (0.55 * back - 0.95 * release + 0.40 * after)
    pose.bend += 0.30 * act.size * (release - after)
    pose.step(act.other, (0.0, 0.0, 0.22), back)
    pose.pelvis[2] += 0.12 * back
    return pose


def sit_down(act: Performance) -> Pose:
    """Hips back and down, the trunk leaning forward meanwhile, the hands into the lap."""
    pose = act.standing()
    _seat(pose, act, act.rise(0.16, 0.72), act.hold(0.14, 0.40, 0.50, 0.80))
    return pose


def stand_up(act: Performance) -> Pose:
    """From a seat: the trunk forward, hips up and ahead, the hands to the sides."""
    pose = act.standing()
    _seat(pose, act, 1.0 - act.rise(0.28, 0.84), act.hold(0.14, 0.42, 0.56, 0.84))
    return pose


def clapping(act: Performance) -> Pose:
    """Both hands before the chest, apart and together."""
    pose = act.standing()
    up = act.hold(0.04, 0.18, 0.82, 0.96)
    apart = 0.15 * act.size * up * act.bumps(act.draws.integer(4, 7), 0.12, 0.88)
    target = act.near(_BEFORE_CHEST)
    for side in (LEFT, RIGHT):
        pose.reach(side, target, up, elbow=_ELBOW_DOWN)
    pose.wrists[0] += apart
    return pose


def put_on_hat(act: Performance) -> Pose:
    """A hat held before the belly goes onto the head; the hands come down to the sides."""
    pose = act.standing()
    held, worn = act.rise(0.10, 0.45), act.rise(0.58, 0.90)
    _hat(pose, act, held - worn, 1.0 - held)
    return pose


def take_off_hat(act: Performance) -> Pose:
    """The hands go up from the sides, take the hat, and hold it before the belly."""
    pose = act.standing()
    taken, down = act.rise(0.10, 0.42), act.rise(0.55, 0.90)
    _hat(pose, act, taken - down, down)
    return pose


def cheer_up(act: Performance) -> Pose:
    """Both arms up beside the head, pumping."""
    pose = act.standing()
    up = act.hold(0.08, 0.28, 0.82, 0.97)
    pump = up * act.bumps(act.draws.integer(2, 4), 0.26, 0.84)
    target = act.near(_OVERHEAD)
    for side in (LEFT, RIGHT):
        pose.reach(side, target, up, elbow=(1.0, -0.2, 0.1))
    pose.wrists[1] -= 0.20 * act.size * pump
    pose.wrists[0] += 0.05 * pump
    pose.nod -= 0.15 * up
    return pose


def hand_waving(act: Performance) -> Pose:
    """One hand beside the head, to and fro."""
    pose = act.standing()
    up = act.hold(0.06, 0.24, 0.80, 0.95)
    pose.reach(act.main, act.near(_ASIDE), up, elbow=_ELBOW_DOWN)
    wave = up * act.swing(act.draws.integer(3, 5), 0.20, 0.86)
    pose.wrists[0, act.main] += 0.15 * act.size * wave
    pose.wrists[1, act.main] -= 0.03 * wave * wave
    return pose


def kick(act: Performance) -> Pose:
    """One leg back, then forward and up; the trunk leans away, the other arm comes ahead."""
    pose = act.standing()
    kick_with(pose, act, height=0.42)
    return pose


def hopping(act: Performance) -> Pose:
    """On one foot, the other behind; several small jumps."""
    pose = act.standing()
    lifted = act.hold(0.05, 0.18, 0.86, 0.97)
    jump = lifted * act.bumps(act.draws.integer(3, 5), 0.14, 0.88)
    pose.step(act.other, (0.0, 0.26, -0.22), lifted)
    toward = 1.0 if act.main == LEFT else -1.0
    pose.pelvis[0] += 0.07 * toward * lifted
    pose.pelvis[1] += lifted * (0.17 * act.size * jump - 0.05)
    pose.ankles[1] += 0.13 * act.size * jump
    pose.wrists[0] += 0.10 * lifted
    pose.wrists[1] += 0.08 * lifted + 0.05 * jump
    return pose


def jump_up(act: Performance) -> Pose:
    """Crouch with the arms back, up with the arms ahead, down into the knees."""
    pose = act.standing()
    flight = act.rise(0.44, 0.54) - act.rise(0.55, 0.66)
    crouch = act.hold(0.14, 0.36, 0.42, 0.50)
    land = act.hold(0.58, 0.68, 0.70, 0.88)
    behind, ahead = act.hold(0.14, 0.30, 0.32, 0.54), act.hold(0.36, 0.60, 0.62, 0.84)
    pose.pelvis[1] += act.size * (0.30 * flight - 0.26 * crouch - 0.18 * land)
    pose.pelvis[2] -= 0.10 * crouch + 0.06 * land
    pose.ankles[1] += 0.28 * act.size * maximum(flight, 0.0)
    pose.bend += 0.55 * crouch + 0.35 * land
    for side in (LEFT, RIGHT):
        pose.reach(side, (0.30, -0.40, -0.22), behind, elbow=_ELBOW_ASIDE)
        pose.reach(side, (0.30, 0.12, 0.38), ahead, elbow=_ELBOW_ASIDE)
    return pose


def bow(act: Performance) -> Pose:
    """Trunk and head forward and up again, the arms along the body."""
    pose = act.standing()
    down = act.hold(0.14, 0.40, 0.54, 0.84)
    pose.bend += 0.80 * act.size * down
    pose.nod += 0.35 * down
    pose.pelvis[2] -= 0.07 * down
    pose.wrists[2] += 0.05 * down
    return pose


def salute(act: Performance) -> Pose:
    """One hand to the temple, elbow out, held there; the body straight."""
    pose = act.standing()
    up = act.hold(0.14, 0.32, 0.72, 0.88)
    pose.reach(act.main, act.near(_TEMPLE, 0.015), up, elbow=_ELBOW_UP)
    pose.bend -= 0.05 * up
    pose.nod -= 0.10 * up
    return pose


def cross_hands(act: Performance) -> Pose:
    """Both forearms cross before the chest and are pushed ahead: stop."""
    pose = act.standing()
    up = act.hold(0.10, 0.34, 0.72, 0.92)
    push = act.hold(0.36, 0.46, 0.56, 0.68)
    for side, ahead in ((act.main, 0.33), (act.other, 0.27)):
        pose.reach(side, act.near((-0.10, 0.0, ahead)), up, elbow=_ELBOW_DOWN)
    pose.wrists[2] += 0.08 * act.size * push
    return pose


def kick_with(pose: Pose, act: Performance, *, height: float) -> None:
    """Add a kick of the acting leg to a pose, up to a given height."""
    back = act.hold(0.14, 0.32, 0.36, 0.48)
    strike = act.hold(0.38, 0.51, 0.56, 0.76)
    pose.step(act.main, (0.0, 0.14, -0.28), back)
    pose.step(act.main, (0.0, height * act.size, 0.62 * act.size), strike)
    away = 1.0 if act.main == RIGHT else -1.0
    pose.pelvis[0] += 0.06 * away * (back + strike)
    pose.bend += 0.12 * back - 0.28 * strike
    pose.reach(act.other, (0.26, -0.36, 0.28), strike)
    pose.reach(act.main, (0.30, -0.42, -0.14), strike)


def walk(pose: Pose, distance: Float64[ndarray, " T"], share: Float64[ndarray, " T"]) -> None:
    """Add the swing of legs and arms of a walk that has covered ``distance`` metres.

    ``share`` fades the swing in and out (0 to 1), for the first and the last step.
    """
    swing, lift = sine_cosine(distance * (TURN / 1.25))
    for side, sign in ((LEFT, 1.0), (RIGHT, -1.0)):
        pose.ankles[2, side] += 0.27 * sign * share * swing
        pose.ankles[1, side] += 0.11 * share * maximum(sign * lift, 0.0)
        pose.wrists[2, side] -= 0.16 * sign * share * swing
    pose.pelvis[1] -= 0.03 * share * swing * swing


def _seat(
    pose: Pose, act: Performance, seated: Float64[ndarray, " T"], lean: Float64[ndarray, " T"]
) -> None:
    pose.pelvis[1] -= 0.43 * seated
    pose.pelvis[2] -= 0.40 * seated
    pose.bend += 0.65 * act.size * lean
    target = act.near(_LAP, 0.03)
    for side in (LEFT, RIGHT):
        pose.reach(side, target, seated)


def _hat(
    pose: Pose, act: Performance, at_head: Float64[ndarray, " T"], at_belly: Float64[ndarray, " T"]
) -> None:
    crown, belly = act.near(_CROWN), act.near(_BEFORE_BELLY)
    for side in (LEFT, RIGHT):
        pose.reach(side, belly, at_belly, elbow=_ELBOW_ASIDE)
        pose.reach(side, crown, at_head, elbow=_ELBOW_ASIDE)
    pose.nod += 0.15 * at_head
