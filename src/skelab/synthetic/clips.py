"""Single synthetic clips in memory."""

import numpy as np

from skelab.data.clips.clip import BodyTrack, RawClip
from skelab.synthetic.exact import Draws
from skelab.synthetic.text import significant, skeleton_text
from skelab.synthetic.tracking import record


def synthetic_clip(name: str, *, seed: int = 0) -> RawClip:
    """The synthetic clip of a file name.

    Args:
        name: ``SsssCcccPpppRrrrAaaa``, as ``clip_names`` makes them.
        seed: 0 or more. The same name and seed give the same bits on any machine.

    Returns:
        Bodies by id, metres, Kinect v2 camera frame; equal to the result of reading the file.

    Raises:
        DataError: The name is malformed or out of range, the action is not available, or the seed
            is negative.
    """
    recording = record(name, seed=seed)
    joints = significant(recording.joints)
    new_frame = np.diff(recording.frames, prepend=-1) > 0
    pose = np.arange(len(new_frame))
    slots = pose - np.maximum.accumulate(np.where(new_frame, pose, 0))
    tracks = {}
    for body in dict.fromkeys(recording.ids.tolist()):
        mine = recording.ids == body
        tracks[str(body)] = BodyTrack(
            frames=recording.frames[mine].astype(np.int32),
            joints=joints[mine],
            tracking=recording.states[mine],
            slots=slots[mine].astype(np.int8),
        )
    return RawClip(recording.num_frames, tracks)


def synthetic_file(name: str, *, seed: int = 0) -> bytes:
    """The content of the synthetic ``.skeleton`` file of this name.

    The same name and seed give the same bytes on any machine.

    Raises:
        DataError: As ``synthetic_clip``.
    """
    return skeleton_text(record(name, seed=seed), Draws(seed, "flags", name))
