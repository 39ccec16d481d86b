"""Recordings as csv: a line a frame with the joints of each body, and perhaps a label."""

import math
from collections.abc import Mapping
from typing import Final, NamedTuple

import numpy as np
from jaxtyping import Float64, Int32
from numpy import ndarray

from skelab.data.recordings.untrimmed import find_label
from skelab.errors import DataError
from skelab.skeleton import Layout

_MAX_BODIES: Final = 8


class LabelledFrames(NamedTuple):
    """What a file holds.

    Attributes:
        joints: Coordinates as recorded.
        labels: Label of each frame; None where the file has none.
        places: File and line of each frame.
        head: The headline; empty where there is none.
    """

    joints: Float64[ndarray, "M T V C"]
    labels: Int32[ndarray, " T"] | None
    places: tuple[str, ...]
    head: str


def parse_frame_csv(
    data: bytes,
    where: str,
    layout: Layout,
    *,
    separator: str = ",",
    words: Mapping[str, int] | None = None,
) -> LabelledFrames:
    """Read a line a frame: the values of one joint after the other, body after body.

    Values stand between separators or blanks, so that both ``0.1,0.2,2.9,…`` and
    ``0.1 0.2 2.9;…`` are read. The first line may be a headline.

    Args:
        data: Content of the file.
        where: Its name, for messages.
        layout: Joints and axes.
        separator: What stands between fields.
        words: Label by word, where the last field of each line is the label of the frame.

    Raises:
        DataError: A line was cut off, or has a value that is not a finite number or a label that
            is unknown; the message names file and line.
    """
    lines = data.decode("utf-8-sig", errors="replace").splitlines()
    while lines and not lines[-1].strip():
        lines.pop()
    head = lines[0] if lines and _is_head(lines[0], separator) else ""
    rows: list[list[float]] = []
    labels: list[int] = []
    places: list[str] = []
    for number, line in enumerate(lines[1:] if head else lines, start=2 if head else 1):
        place = f"{where}, line {number}"
        *fields, last = line.split(separator)
        values = _values(fields if words is not None else [*fields, last], place)
        _check_count(values, rows, layout, place, last if words is not None else None)
        if words is not None:
            labels.append(find_label(last.strip(), words, place))
        rows.append(values)
        places.append(place)
    if not rows:
        raise DataError(f"{where}: expected a line of numbers a frame, found none")
    pose = (layout.num_joints, len(layout.axes))
    joints = np.array(rows, dtype=np.float64).reshape(len(rows), -1, *pose).swapaxes(0, 1)
    found = None if words is None else np.array(labels, dtype=np.int32)
    return LabelledFrames(np.ascontiguousarray(joints), found, tuple(places), head)


def _is_head(line: str, separator: str) -> bool:
    """Whether a first line has a word where coordinates would be."""
    first = line.split(separator)[0].split()
    try:
        return not [float(value) for value in first]
    except ValueError:
        return True


def _values(fields: list[str], place: str) -> list[float]:
    texts = " ".join(fields).split()
    try:
        values = [float(text) for text in texts]
    except ValueError:
        values = []
    if len(values) == len(texts) and all(map(math.isfinite, values)) and "_" not in "".join(texts):
        return values
    wrong = next(text for text in texts if not _is_number(text))
    raise DataError(
        f"{place}: expected finite numbers, found {wrong[:40]!r}; write 0 where a joint was not"
        " seen"
    )


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text)) and "_" not in text  # Python alone would read 1_0 as ten
    except ValueError:
        return False


def _check_count(
    values: list[float], rows: list[list[float]], layout: Layout, place: str, label: str | None
) -> None:
    """Make sure that a line is whole: as many numbers as the layout, or as the lines above."""
    each = layout.num_joints * len(layout.axes)
    bodies, rest = divmod(len(values), each)
    fits = len(values) == len(rows[0]) if rows else not rest and 1 <= bodies <= _MAX_BODIES
    if fits:
        return
    wanted = f"{len(rows[0])} numbers as in the lines above" if rows else f"{each} numbers a body"
    also = "" if label is None else " and a label"
    found = "" if label is None else f" and {label.strip()[:20]!r}"
    raise DataError(
        f"{place}: expected {wanted} ({layout.num_joints} joints of {layout.name},"
        f" {len(layout.axes)} axes){also}, found {len(values)} numbers{found}"
    )
