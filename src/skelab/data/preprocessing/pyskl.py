"""PYSKL's preprocessing: frames without the main body dropped, centred once, turned once.

Source: Duan et al., ACM MM 2022 (arXiv:2205.09443); kennymckormick/pyskl@3f6795f, from a
description of it.
"""

from functools import partial

import numpy as np
from jaxtyping import Float32
from numpy import ndarray

from skelab.data.clips.clip import Clip, RawClip, SampleInfo
from skelab.data.preprocessing.base import (
    ANONYMOUS,
    Pipeline,
    check_recording,
    drop_absent_bodies,
)
from skelab.data.preprocessing.msg3d import bodies_by_energy, chosen_bodies
from skelab.data.preprocessing.turning import shoulders, spine, turn
from skelab.errors import NoBodyError
from skelab.skeleton import Layout

_MOST_BODIES = 2
_NOTHING = 1e-8  # a body whose every number is as small is not there


def prepare(
    raw: RawClip, layout: Layout, info: SampleInfo = ANONYMOUS, *, upright: bool = True
) -> Clip:
    """Keep the frames of the main body, move its origin to zero, and turn it upright and to front.

    The main body is the one that is seen in more frames, the first where two are seen in as many;
    it comes first. All joints are moved by where the main body's origin was in its first frame;
    joints of three zeros are missing and stay zeros. Then everything is turned so that the main
    body's spine points to +z in its first frame, and after that its shoulders from left to right
    to +x. A spine that points to -z is not turned.

    Args:
        raw: A recording of two bodies at most; of more, the two with the most energy are taken, as
            in MS-G3D's preprocessing.
        layout: Its layout. ``layout.origin`` becomes zero, the middle of the spine for NTU; the
            authors take the last joint of other skeletons.
        info: What is known of the sample.
        upright: Turn at all; DG-STGCN, ProtoGCN and SkeletonAgent do not.

    Returns:
        The main body and the other one, in the units of the recording, float32.

    Raises:
        NoBodyError: No frame has a body.
        DataError: The joints are not those of the layout.
        LayoutError: The layout has no spine or shoulders to turn by.
    """
    check_recording(raw, layout)
    few = len(raw.bodies) <= _MOST_BODIES
    bodies = chosen_bodies(raw) if few else bodies_by_energy(raw)
    seen = np.abs(bodies).max(axis=(2, 3)) > _NOTHING  # M T
    if not seen.any():
        raise NoBodyError("expected a body in at least one frame, found only zeros")
    if seen[1].sum() > seen[0].sum():
        bodies, seen = bodies[::-1], seen[::-1]
    kept = np.flatnonzero(seen[0])
    joints = _centre(bodies[:, kept], layout.origin)
    if upright:
        joints = turn(joints, *spine(layout, "pyskl"), towards=(0.0, 0.0, 1.0))
        joints = turn(joints, *shoulders(layout, "pyskl"), towards=(1.0, 0.0, 0.0))
    return Clip(info, drop_absent_bodies(joints), kept.astype(np.int32))


def _centre(joints: Float32[ndarray, "M T V 3"], origin: int) -> Float32[ndarray, "M T V 3"]:
    """Subtract the main body's origin in its first frame from every joint that is not missing."""
    known = joints.any(axis=-1, keepdims=True)
    return np.asarray((joints - joints[0, 0, origin]) * known)


PYSKL = Pipeline(
    name="pyskl",
    title="PYSKL's: frames of the main body, centred and turned by its first frame",
    source="arXiv:2205.09443; kennymckormick/pyskl@3f6795f, PreNormalize3D",
    prepare=prepare,
)

PYSKL_CENTRED = Pipeline(
    name="pyskl-centred",
    title="PYSKL's without turning: frames of the main body, centred by its first frame",
    source="arXiv:2205.09443; kennymckormick/pyskl@3f6795f, PreNormalize3D without align_spine",
    prepare=partial(prepare, upright=False),
)
