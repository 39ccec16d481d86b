"""CTR-GCN's preprocessing of NTU RGB+D recordings in compiled code, if it was built.

The Python implementation, ``skelab.data.preprocessing.ctrgcn`` with the reader of
``skelab.data.recordings.skeleton_file``, handles all files that the kernel does not.
"""

import os
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float32, Int32
from numpy import ndarray

from skelab.native.skeleton_text import NUM_JOINTS

try:
    from skelab.native import _ctrgcn
except ImportError:  # not built, or built for another machine
    _compiled = None
else:
    _compiled = _ctrgcn.prepare

PreparedArrays = tuple[Float32[ndarray, "M T 25 3"], Int32[ndarray, " T"]]
"""The joints of the actors, in metres, and the numbers of the frames."""


def can_prepare() -> bool:
    """Whether the kernel was built; Python computes the same without it."""
    return _compiled is not None


def prepare_recordings(
    sources: Sequence[str | bytes | None], origin: int
) -> list[PreparedArrays | None]:
    """Read and preprocess plain ``.skeleton`` files; releases the GIL.

    Args:
        sources: Path or content of each recording; None to skip it.
        origin: The joint that is moved to the origin, from 0.

    Returns:
        Actors and frame numbers of each recording; None if Python has to handle it: no kernel was
        built, or the recording is unusual, damaged or cannot be read.

    Raises:
        ValueError: ``origin`` is not one of the 25 joints.

    Source: as :func:`skelab.data.preprocessing.ctrgcn.prepare_ctrgcn`.
    """
    if _compiled is None:
        return [None] * len(sources)
    texts = [(os.fsencode(source),) if isinstance(source, str) else source for source in sources]
    kept = tuple(text for text in texts if text is not None)
    answer = _compiled(kept, origin)
    joints = np.frombuffer(answer[1], np.float32)
    numbers = np.frombuffer(answer[2], np.int32)
    shapes = iter(np.frombuffer(answer[0], np.int32).reshape(-1, 2).tolist())
    prepared: list[PreparedArrays | None] = []
    pose = frame = 0
    for text in texts:
        bodies, frames = next(shapes) if text is not None else (0, 0)
        if not bodies:
            prepared.append(None)
            continue
        size = bodies * frames * NUM_JOINTS * 3
        own = joints[pose : pose + size].reshape(bodies, frames, NUM_JOINTS, 3)
        prepared.append((own, numbers[frame : frame + frames]))
        pose += size
        frame += frames
    return prepared
