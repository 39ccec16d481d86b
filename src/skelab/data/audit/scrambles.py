"""The ways in which joints are known to get scrambled, each with what would mend it.

Every repository flattens frames T, bodies M, joints V and axes C in an order of its own. Who reads
one order as another gets numbers of the right shape and of no meaning.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import permutations
from typing import Final

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from skelab.skeleton import Layout, list_layouts

_ORDERS: Final = ("TMVC", "CTVM", "MTVC", "TVMC", "TVCM", "TCVM")
"""Orders of whole clips: CTR-GCN's, MS-G3D's, PYSKL's, and what they are taken for."""
_LOOPED_FRAMES: Final = 300
_TWO: Final = 2
"""Bodies of the arrays that others keep; a clip may have lost an absent second one."""


@dataclass(frozen=True)
class Scramble:
    """What may have happened to the joints, and what gives them back.

    Attributes:
        name: What happened, in words that say what would be right.
        undo: Gives the right array of one clip, M T V C; it may have more bodies or frames.
        layout: The layout of the array that comes out.
    """

    name: str
    undo: Callable[[Float[ndarray, "M T V C"]], Float[ndarray, "K S V C"]]
    layout: Layout


def known_scrambles(shape: tuple[int, int, int, int], layout: Layout) -> Iterator[Scramble]:
    """Everything that may have happened to clips of this shape M T V C; the likeliest first.

    First joints in the order of another layout; then the values of each frame read in a wrong
    order of bodies, joints and axes, all thirty pairs of orders; then whole clips kept as one
    repository does and read as another. A clip of one body is also taken as one of two
    whose second is absent, one of fewer than 300 frames also as one of 300.

    Args:
        shape: Bodies, frames, joints and axes of the clips.
        layout: What the clips are said to be.
    """
    for other in list_layouts():
        if other.num_joints == layout.num_joints and other.joints != layout.joints:
            yield Scramble(f"joints in the order of layout {other.name}", _as_it_is, other)
    num_bodies, num_frames, num_joints, num_axes = shape
    sizes = {"V": f"{num_joints}", "C": f"{num_axes}"}
    if num_bodies == 1:
        for stored, read in (("VC", "CV"), ("CV", "VC")):
            undo = partial(_reorder, f"TM{stored}", f"TM{read}", 1, None)
            yield Scramble(_name(stored, read, sizes), undo, layout)
    bodies = max(num_bodies, _TWO)
    sizes["M"] = f"{bodies}"
    for stored, read in _pairs(["".join(order) for order in permutations("MVC")], "MVC"):
        undo = partial(_reorder, f"T{stored}", f"T{read}", bodies, None)
        yield Scramble(_name(stored, read, sizes), undo, layout)
    for frames in (None, *((_LOOPED_FRAMES,) if num_frames < _LOOPED_FRAMES else ())):
        sizes["T"] = f"{frames or 'T'}"
        for stored, read in _pairs(_ORDERS, "TMVC"):
            if stored[0] != "T" or read[0] != "T":
                undo = partial(_reorder, stored, read, bodies, frames)
                yield Scramble(_name(stored, read, sizes), undo, layout)


def scramble(
    joints: Float[ndarray, "M T V C"], stored: str, read: str
) -> Float[ndarray, "M T V C"]:
    """What comes out if a clip is stored in one order and read in another.

    Args:
        joints: The clip.
        stored: Order of the axes in the file, first the slowest, as four letters of ``TMVC``.
        read: Order in which they are read.
    """
    sizes = dict(zip("MTVC", joints.shape, strict=True))
    flat = joints.transpose([("MTVC").index(axis) for axis in stored]).reshape(-1)
    wrong = flat.reshape([sizes[axis] for axis in read])
    return np.ascontiguousarray(wrong.transpose([read.index(axis) for axis in "MTVC"]))


def _reorder(
    stored: str,
    read: str,
    bodies: int,
    frames: int | None,
    joints: Float[ndarray, "M T V C"],
) -> Float[ndarray, "bodies S V C"]:
    """Undo the reading of one order as another, after absent bodies and frames were put back."""
    present, length, *pose = joints.shape
    padded = np.zeros((bodies, frames or length, *pose), dtype=joints.dtype)
    padded[:present, :length] = joints[:, : padded.shape[1]]
    return scramble(padded, read, stored)


def _as_it_is(joints: Float[ndarray, "M T V C"]) -> Float[ndarray, "M T V C"]:
    return joints


def _pairs(orders: Sequence[str], usual: str) -> list[tuple[str, str]]:
    """Two different orders each, stored and read; those in which one is the usual order first."""
    pairs = list(permutations(orders, 2))
    return sorted(pairs, key=lambda pair: pair.index(usual) if usual in pair else 2)


def _name(stored: str, read: str, sizes: Mapping[str, str]) -> str:
    def order(axes: str) -> str:
        return f"{' x '.join(axes)} ({' x '.join(sizes[axis] for axis in axes)})"

    what = "clip" if "T" in stored else "frame"
    return f"the values of each {what} are {order(stored)}, but were read as {order(read)}"
