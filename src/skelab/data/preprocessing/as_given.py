"""No preprocessing: poses are kept as the data set provides them."""

import numpy as np

from skelab.data.clips.clip import Clip, RawClip, SampleInfo
from skelab.data.preprocessing.base import ANONYMOUS, Pipeline, drop_absent_bodies
from skelab.errors import DataError, NoBodyError
from skelab.skeleton import Layout


def prepare_as_given(raw: RawClip, layout: Layout, info: SampleInfo = ANONYMOUS) -> Clip:
    """Keep every body unchanged, aligned to the frames of the recording.

    Args:
        raw: A recording with one value per axis of the layout for each joint; poses in the image
            (x, y, score) are allowed.
        layout: Its layout.
        info: What is known of the sample.

    Returns:
        Every body, in order of first appearance, in the units of the recording. All frames
        of the recording are kept; those without a body are zero.

    Raises:
        NoBodyError: No frame has a body.
        DataError: The joints are not those of the layout, or a body occurs several times in one
            frame.
    """
    shape = (layout.num_joints, len(layout.axes))
    joints = np.zeros((len(raw.bodies), raw.num_frames, *shape), dtype=np.float32)
    for place, (body, track) in zip(joints, raw.bodies.items(), strict=True):
        if track.joints.shape[1:] != shape:
            raise DataError(
                f"body {body}: expected {shape[0]} joints of {layout.name} with {shape[1]} values,"
                f" found {track.joints.shape[1]} joints with {track.joints.shape[2]}"
            )
        if len(np.unique(track.frames)) != len(track.frames):
            raise DataError(f"body {body}: expected one pose a frame, found several in one")
        place[track.frames] = track.joints
    if not joints.any():
        raise NoBodyError(
            f"expected a body in at least one frame, found none in {raw.num_frames} frames;"
            " recordings without a body are left out"
        )
    return Clip(info, drop_absent_bodies(joints), np.arange(raw.num_frames, dtype=np.int32))


AS_GIVEN = Pipeline(
    name="as-given",
    title="none: poses are kept as the data set provides them",
    source="ours",
    prepare=prepare_as_given,
)
