"""CTR-GCN's preprocessing of NTU RGB+D recordings, from file to clip, compiled if it was built.

Its twin, which takes over whatever is not prepared here, is ``skelab.data.preprocessing.ctrgcn``
with the reader of ``skelab.data.recordings.skeleton_file``.
"""

import os
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float32, Int32
from numpy import ndarray

from skelab.native.skeleton_text import NUM_JOINTS

try:
    from skelab.native import _ctrgcn
except ImportError:  # built without a compiler, or for another machine
    _compiled = None
else:
    _compiled = _ctrgcn.prepare

PreparedArrays = tuple[Float32[ndarray, "M T 25 3"], Int32[ndarray, " T"]]
"""The joints of the actors, in metres, and the numbers of the frames."""


def can_prepare() -> bool:
    """Whether the kernel was built; without it Python and numpy do the same."""
    return _compiled is not None


def prepare_recordings(
    sources: Sequence[str | bytes | None], origin: int
) -> list[PreparedArrays | None]:
    """Read and prepare plain ``.skeleton`` files, without holding the interpreter's lock.

    Args:
        sources: Of each recording the path of its file, or its whole content; None passes it over.
        origin: The joint that comes to lie in the origin, from 0.

    Returns:
        Of each recording its actors and frame numbers; None where the twin decides: nothing was
        compiled, or the recording is unusual, wrong or cannot be read.

    Raises:
        ValueError: ``origin`` is not one of the 25 joints.

    Source: as :func:`skelab.data.preprocessing.ctrgcn.prepare`.
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
