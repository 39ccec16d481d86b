"""MS-G3D's preprocessing: two bodies by energy, looped, centred, rotated to face the camera.

Source: Liu et al., CVPR 2020 (arXiv:2003.14111); kenziyuliu/MS-G3D@2f927f4, ``data_gen``.
"""

import numpy as np
from jaxtyping import Float, Float32, Float64, Int, Int32
from numpy import ndarray

from skelab.data.clips.clip import Clip, RawClip, SampleInfo
from skelab.data.preprocessing.base import (
    ANONYMOUS,
    Pipeline,
    check_recording,
    drop_absent_bodies,
)
from skelab.data.preprocessing.turning import shoulders, spine, turn
from skelab.errors import DataError, NoBodyError
from skelab.skeleton import Layout

MSG3D_FRAMES = 300
MSG3D_BODIES = 2
_SLOTS = 4  # list positions of a frame that are considered


def prepare_msg3d(raw: RawClip, layout: Layout, info: SampleInfo = ANONYMOUS) -> Clip:
    """Choose two bodies by energy, loop them to 300 frames, centre and rotate them.

    Reproduces the authors' joint array within rounding (their rotation goes by quaternions, ours
    by Rodrigues' formula). Odd as theirs: bodies go by position in the frame's list and not by
    id, gaps stay unless the first frame is empty, and a body that is alone in a frame stays
    uncentred if it is the second one.

    What is stored: the looped array is 300 frames whatever the recording's length. Both bodies
    loop with their own period but are centred on the first one's spine, so that the loop can be
    taken off exactly only where both have the same period, or there is one body. It is checked
    bit for bit: where one period reproduces all 300 frames, only that period is kept; otherwise
    all 300 frames are. ``pad_loop`` gives the authors' array back in both cases.

    Args:
        raw: A recording of at most 300 frames with three-dimensional joints.
        layout: Its layout; ``layout.origin`` of the first body becomes the centre of each frame.
        info: What is known of the sample.

    Returns:
        One or two bodies, the one with the most energy first (or as the makers of the data set
        chose them), in the units of the recording. Frame numbers are those of the first body.

    Raises:
        NoBodyError: No frame has a body.
        DataError: There are more than 300 frames or two chosen bodies.
        LayoutError: The layout has no spine or shoulders to turn by.

    Source: kenziyuliu/MS-G3D@2f927f4, ``data_gen/ntu_gendata.py``, ``preprocess.py``,
    ``rotation.py``.
    """
    check_recording(raw, layout)
    if raw.num_frames > MSG3D_FRAMES:
        raise DataError(
            f"expected at most {MSG3D_FRAMES} frames, found {raw.num_frames}: the msg3d pipeline"
            " takes no more; use the ctrgcn pipeline"
        )
    trunk, across = spine(layout, "msg3d"), shoulders(layout, "msg3d")
    chosen = chosen_bodies(raw) if raw.actors_chosen else bodies_by_energy(raw)
    if not chosen.any():
        raise NoBodyError("expected a body in at least one frame, found only zeros")
    looped, sources = _loop(chosen)
    joints = _centre(looped, layout.origin)
    joints = turn(joints, *trunk, towards=(0.0, 0.0, 1.0))
    joints = turn(joints, *across, towards=(1.0, 0.0, 0.0))
    joints = drop_absent_bodies(joints)
    period = _period(joints, sources)
    return Clip(info, np.ascontiguousarray(joints[:, :period]), sources[:period])


def pad_loop(
    joints: Float[ndarray, "M T V C"],
    *,
    frames: int = MSG3D_FRAMES,
    bodies: int = MSG3D_BODIES,
) -> Float[ndarray, "C frames V bodies"]:
    """One sample as the authors store it: frames looped from the start, absent bodies zero.

    Args:
        joints: What ``prepare_msg3d`` gave, at most ``frames`` frames and ``bodies`` bodies.
        frames: Length of the result.
        bodies: Bodies of the result.

    Raises:
        DataError: There are more frames or bodies than the result has room for.

    Source: kenziyuliu/MS-G3D@2f927f4, ``data_gen/preprocess.py``.
    """
    present, length, num_joints, axes = joints.shape
    if length > frames or present > bodies:
        raise DataError(
            f"expected at most {frames} frames and {bodies} bodies, found {length} and {present}"
        )
    padded = np.zeros((axes, frames, num_joints, bodies), dtype=joints.dtype)
    padded[..., :present] = joints[:, np.arange(frames) % length].transpose(3, 1, 2, 0)
    return padded


def chosen_bodies(raw: RawClip) -> Float32[ndarray, "2 T V 3"]:
    """The bodies chosen by the makers of the data set, in their order.

    Raises:
        DataError: There are more than two.
    """
    if len(raw.bodies) > MSG3D_BODIES:
        raise DataError(f"expected at most {MSG3D_BODIES} bodies, found {len(raw.bodies)}")
    shape = next(iter(raw.bodies.values())).joints.shape[1:]
    chosen = np.zeros((MSG3D_BODIES, raw.num_frames, *shape), dtype=np.float32)
    for place, track in zip(chosen, raw.bodies.values(), strict=False):
        place[track.frames] = track.joints
    return chosen


def bodies_by_energy(raw: RawClip) -> Float32[ndarray, "2 T V 3"]:
    """The two of four slots with the largest variance of the joints, in descending order.

    Source: kenziyuliu/MS-G3D@2f927f4, ``data_gen/ntu_gendata.py``.
    """
    shape = next(iter(raw.bodies.values())).joints.shape[1:]
    slots = np.zeros((_SLOTS, raw.num_frames, *shape))
    for number, track in enumerate(raw.bodies.values()):
        own = np.full(len(track.frames), number) if track.slots is None else track.slots
        seen = own < _SLOTS
        slots[own[seen], track.frames[seen]] = track.joints[seen]
    energy = np.array([_energy(slot) for slot in slots])
    order = energy.argsort(kind="stable")[::-1][:MSG3D_BODIES]
    return slots[order].astype(np.float32)


def _energy(slot: Float64[ndarray, "T V 3"]) -> float:
    """Standard deviation over all frames with a body and all joints, summed over the axes."""
    present = slot[slot.sum(axis=-1).sum(axis=-1) != 0]
    return float(present.reshape(-1, 3).std(axis=0).sum()) if len(present) else 0.0


def _loop(
    chosen: Float32[ndarray, "M T V 3"],
) -> tuple[Float32[ndarray, "M 300 V 3"], Int32[ndarray, " 300"]]:
    """Each body repeated to 300 frames, and the frame that each of the first body's is from."""
    bodies, length = chosen.shape[:2]
    looped = np.zeros((bodies, MSG3D_FRAMES, *chosen.shape[2:]), dtype=np.float32)
    looped[:, :length] = chosen
    sources = np.arange(MSG3D_FRAMES, dtype=np.int32)
    for number, body in enumerate(looped):
        taken = _looped_frames(body)
        body[:] = body[taken]
        if number == 0:
            sources = taken.astype(np.int32)
    return looped, sources


def _looped_frames(body: Float32[ndarray, "300 V 3"]) -> Int[ndarray, " 300"]:
    """The source frame of each looped frame: gaps are closed only if the first frame is empty."""
    present = np.flatnonzero(body.sum(axis=-1).sum(axis=-1))
    if not len(present):
        return np.arange(MSG3D_FRAMES)
    period = np.arange(present[-1] + 1) if present[0] == 0 else present
    return period[np.arange(MSG3D_FRAMES) % len(period)]


def _centre(joints: Float32[ndarray, "M 300 V 3"], origin: int) -> Float32[ndarray, "M 300 V 3"]:
    """Subtract the first body's origin joint frame by frame; missing joints stay zero."""
    centre = joints[0, :, origin][:, None]  # 300 1 3
    known = (joints.sum(axis=-1) != 0)[..., None]  # M 300 V 1
    return np.asarray((joints - centre) * known)


def _period(joints: Float32[ndarray, "M 300 V 3"], sources: Int32[ndarray, " 300"]) -> int:
    """The number of frames from which looping restores all 300, bit for bit."""
    again = np.flatnonzero(sources[1:] == sources[0])
    period = int(again[0]) + 1 if len(again) else MSG3D_FRAMES
    taken = np.arange(MSG3D_FRAMES) % period
    return period if np.array_equal(joints, joints[:, taken]) else MSG3D_FRAMES


MSG3D = Pipeline(
    name="msg3d",
    title="MS-G3D's: two bodies by energy, looped to 300 frames, centred and turned",
    source="arXiv:2003.14111; kenziyuliu/MS-G3D@2f927f4, data_gen",
    prepare=prepare_msg3d,
)
