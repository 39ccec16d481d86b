"""Known ways of scrambling joints, each with its inverse.

Each repository flattens frames T, bodies M, joints V and axes C in its own order. Reading
one order as another gives numbers of the right shape without meaning.
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
"""Axis orders of whole clips: CTR-GCN's, MS-G3D's, PYSKL's, and what they are mistaken for."""
_LOOPED_FRAMES: Final = 300
_TWO: Final = 2
"""Number of bodies in arrays of other code; a clip may lack an absent second one."""


@dataclass(frozen=True)
class Scramble:
    """A scramble of the joints and its inverse.

    Attributes:
        name: A description that includes the correct order.
        undo: Restores the array of one clip, M T V C; it may have more bodies or frames.
        layout: The layout of the restored array.
    """

    name: str
    undo: Callable[[Float[ndarray, "M T V C"]], Float[ndarray, "K S V C"]]
    layout: Layout


def known_scrambles(shape: tuple[int, int, int, int], layout: Layout) -> Iterator[Scramble]:
    """All known scrambles of clips of this shape M T V C, most likely first.

    First joints in the order of another layout; then the values of each frame read in a wrong
    order of bodies, joints and axes, all thirty pairs of orders; then whole clips kept as one
    repository does and read as another. A clip of one body is also taken as one of two
    whose second is absent, one of fewer than 300 frames also as one of 300.

    Args:
        shape: Bodies, frames, joints and axes of the clips.
        layout: The claimed layout of the clips.
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
    """The array that results from storing a clip in one order and reading it in another.

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
    """Undo reading one order as another, after restoring absent bodies and frames."""
    present, length, *pose = joints.shape
    padded = np.zeros((bodies, frames or length, *pose), dtype=joints.dtype)
    padded[:present, :length] = joints[:, : padded.shape[1]]
    return scramble(padded, read, stored)


def _as_it_is(joints: Float[ndarray, "M T V C"]) -> Float[ndarray, "M T V C"]:
    return joints


def _pairs(orders: Sequence[str], usual: str) -> list[tuple[str, str]]:
    """Pairs of different orders, stored and read; pairs with the usual order first."""
    pairs = list(permutations(orders, 2))
    return sorted(pairs, key=lambda pair: pair.index(usual) if usual in pair else 2)


def _name(stored: str, read: str, sizes: Mapping[str, str]) -> str:
    def order(axes: str) -> str:
        return f"{' x '.join(axes)} ({' x '.join(sizes[axis] for axis in axes)})"

    what = "clip" if "T" in stored else "frame"
    return f"the values of each {what} are {order(stored)}, but were read as {order(read)}"
