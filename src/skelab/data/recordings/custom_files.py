"""The file of one clip of a data set of one's own: an array, or a line of numbers a frame."""

from itertools import permutations
from pathlib import Path
from typing import Final

import numpy as np
from jaxtyping import Float64, Shaped
from numpy import ndarray

from skelab.data.recordings.base import read_bytes
from skelab.errors import DataError
from skelab.files.npy import parse_npy
from skelab.skeleton import Layout

MAX_BODIES: Final = 8
"""Most bodies of a clip."""

_USUAL_AXES: Final = {
    2: "[x, y]",
    3: "[x, y, z], or [x, y, score] with a confidence",
    4: "[x, y, z, score]",
}
"""What so many values of a joint usually are."""


def parse_array(path: Path) -> Shaped[ndarray, " ..."]:
    """The array of a ``.npy`` file.

    Raises:
        DataError: It is damaged, or holds no numbers.
    """
    array: Shaped[ndarray, " ..."] = parse_npy(read_bytes(path), str(path))
    return array


def parse_csv(path: Path) -> Float64[ndarray, "T F"]:
    """The numbers of each line; the first may be a headline.

    Raises:
        DataError: A line holds something else, or not as many numbers as those above.
    """
    lines = read_bytes(path).decode("utf-8-sig", errors="replace").splitlines()
    while lines and not lines[-1].strip():
        lines.pop()
    rows: list[list[float]] = []
    for number, line in enumerate(lines, start=1):
        fields = line.split(",")
        try:
            values = [float(field) for field in fields]
            if "_" in line:  # Python alone would read 1_0 as ten
                raise ValueError
        except ValueError:
            if number == 1 and any(map(str.isalpha, line)):
                continue
            raise DataError(
                f"{path}, line {number}: expected numbers with commas between them, found"
                f" {line[:40]!r}; {_cure_of_line(line)}"
            ) from None
        if rows and len(values) != len(rows[0]):
            raise DataError(
                f"{path}, line {number}: expected {len(rows[0])} numbers as in the lines above,"
                f" found {len(values)}"
            )
        rows.append(values)
    if not rows:
        raise DataError(f"{path}: expected a line of numbers a frame, found none")
    return np.array(rows, dtype=np.float64)


def as_bodies(
    stored: Shaped[ndarray, " ..."], layout: Layout, where: str
) -> Float64[ndarray, "M T V C"]:
    """A clip with an axis of bodies, whichever way it was stored: T F, T V C, M T V C or C T V M.

    Raises:
        DataError: The shape does not fit the layout; the message says what would make it fit.
    """
    joints, axes = layout.num_joints, len(layout.axes)
    shape = stored.shape
    if len(shape) == 2:
        each = joints * axes
        if shape[1] % each or not 1 <= shape[1] // each <= MAX_BODIES:
            raise DataError(
                f"{where}: expected {each} numbers a line for each body ({joints} joints of"
                f" {layout.name}, {axes} axes), found {shape[1]}{_cure_of_width(shape[1], layout)}"
            )
        stored = stored.reshape(len(stored), -1, joints, axes).swapaxes(0, 1)
    elif len(shape) == 3:
        stored = stored[None]
    elif len(shape) == 4 and shape[2:] != (joints, axes) and shape[0::2] == (axes, joints):
        stored = stored.transpose(3, 1, 2, 0)  # C T V M, as networks take it
    fits = stored.ndim == 4 and stored.shape[2:] == (joints, axes)
    if not fits or not 1 <= stored.shape[0] <= MAX_BODIES or stored.shape[1] < 1:
        raise DataError(
            f"{where}: expected frames x {joints} joints x {axes} axes, or up to {MAX_BODIES}"
            f" bodies of that, found the shape {' x '.join(map(str, shape))}"
            f"{_cure_of_shape(shape, layout)}"
        )
    return stored.astype(np.float64)


def finite_bodies(
    stored: Shaped[ndarray, " ..."], layout: Layout, where: str
) -> Float64[ndarray, "M T V C"]:
    """A clip with an axis of bodies, all its values finite.

    Raises:
        DataError: The shape does not fit the layout, or a value is no finite number.
    """
    if stored.dtype.kind not in "fiu":
        raise DataError(f"{where}: expected numbers, found values of the type {stored.dtype}")
    joints = as_bodies(stored, layout, where)
    with np.errstate(over="ignore"):
        finite = np.isfinite(joints.astype(np.float32))
    if not finite.all():
        body, frame, joint, axis = map(int, np.argwhere(~finite)[0])
        raise DataError(
            f"{where}: expected finite numbers, found {joints[body, frame, joint, axis]} at"
            f" frame {frame}, joint {layout.joints[joint]!r}, axis {layout.axes[axis]}; write"
            " zeros where a joint was not seen"
        )
    return joints


def _cure_of_line(line: str) -> str:
    for separator, name in ((";", "semicolons"), ("\t", "tabs")):
        if separator in line:
            return f"the fields stand between {name}: write commas, and points in decimals"
    return "write 0 where a joint was not seen"


def _cure_of_width(width: int, layout: Layout) -> str:
    """What would make lines of so many numbers fit; empty where nobody knows."""
    joints, axes = layout.num_joints, len(layout.axes)
    each = joints * axes
    if width > each and width % each == 1:
        return "; leave out the column of frame numbers, if the first one is that"
    if width % joints == 0 and width // joints in _USUAL_AXES:
        return _cure_of_axes(width // joints, axes)
    return ""


def _cure_of_shape(shape: tuple[int, ...], layout: Layout) -> str:
    """What would make an array of this shape fit; empty where nobody knows."""
    joints, axes = layout.num_joints, len(layout.axes)
    if len(shape) not in (3, 4) or 0 in shape:
        return ""
    for order in permutations(range(len(shape))):
        turned = [shape[axis] for axis in order]
        bodies_fit = len(shape) == 3 or turned[0] <= MAX_BODIES
        if turned[-2:] == [joints, axes] and bodies_fit and list(order) != sorted(order):
            return f"; the axes stand in another order: save np.transpose(clip, {order})"
    if shape[-2] == joints and shape[-1] in _USUAL_AXES:
        return _cure_of_axes(shape[-1], axes)
    return ""


def _cure_of_axes(found: int, known: int) -> str:
    return (
        f"; a joint has {found} values here and {known} in the layout: say axes:"
        f" {_USUAL_AXES[found]}, under layout in dataset.yaml"
    )
