"""CTR-GCN's npz, also known from Kaggle: padded rows of 150 columns, read in place.

``numpy.savez`` stores its arrays uncompressed, so that they can be read at their offset in
the archive; ``savez_compressed`` does not, and its arrays are inflated row by row.
"""

import zipfile
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import ClassVar, Final

import numpy as np
from jaxtyping import Int64, Shaped
from numpy import ndarray

from skelab.data.clips.index import UNKNOWN, ClipIndex
from skelab.data.clips.store import StoreInfo
from skelab.data.datasets.ntu import SYNTHETIC_MARKER
from skelab.data.foreign.clips import (
    Part,
    PreparedClips,
    digest_of,
    majority,
    read_labels,
    shift_labels,
    smallest_label,
)
from skelab.data.foreign.rows import DeflatedRows, Rows, StoredRows
from skelab.data.recordings.class_names import ntu_classes, numbered_classes
from skelab.data.recordings.label_base import INGEST_OPTION, check_label_base
from skelab.errors import SourceError
from skelab.files.archives import is_archive, list_members, locate_member, open_archive
from skelab.files.npy import read_npy_header
from skelab.skeleton import Layout, get_layout

_PARTS: Final = ("train", "test")
_BODIES: Final = range(1, 9)
_LABELS_AT_ONCE: Final = 4096
_NTU_CLASSES: Final = (60, 120)


class NpzClips(PreparedClips):
    """The clips of an npz with ``x_train``, ``y_train``, ``x_test``, ``y_test``.

    x is N x T x (M V C): body after body, joint after joint, coordinates last, zeros behind the
    end of a clip and for an absent body. y is one-hot or whole numbers. Rows carry no names: they
    are called as CTR-GCN's feeder calls them, ``train_0``, ``test_0`` and so on.

    Source: Uason-Chen/CTR-GCN@e13d758, ``data/ntu/seq_transformation.py``, ``feeders``.
    """

    kind: ClassVar[str] = "ctrgcn-npz"
    title: ClassVar[str] = "CTR-GCN npz"

    @property
    def max_bodies(self) -> int:
        """Bodies that a row has room for."""
        layout = self.info.layout
        columns = self.parts[0].rows.header.shape[2]
        return columns // (layout.num_joints * len(layout.axes))

    def _unpack(self, stored: Shaped[ndarray, " ..."]) -> Shaped[ndarray, "M T V C"]:
        return _unpacked(stored, self.info.layout)


def is_npz(path: Path) -> bool:
    """Whether a file is an archive with the arrays of CTR-GCN's npz."""
    if not is_archive(path):
        return False
    try:
        with open_archive(path) as archive:
            names = {member.filename for member in archive.infolist()}
    except SourceError:
        return False
    return any(f"x_{part}.npy" in names for part in _PARTS)


def open_npz(
    path: Path, *, layout: Layout | None = None, labels_from: int | None = None
) -> NpzClips:
    """Open an npz of CTR-GCN's form in milliseconds: labels are read, poses are not.

    Args:
        path: The file.
        layout: The joints; None takes ``ntu25``.
        labels_from: The number of the first class; None takes 0, where that is clear: one label is
            0, or the columns of one-hot labels are those of a data set.

    Raises:
        SourceError: The archive is damaged, an array has the wrong shape or type, a label is
            none, or nobody knows whether they are counted from 0.
    """
    layout = layout or get_layout("ntu25")
    with open_archive(path) as archive:
        members = {member.filename: member for member in list_members(archive)}
        parts, width = _open_parts(archive, members, path, layout, labels_from)
    fingerprints = [
        (name, member.file_size, member.CRC)
        for name, member in sorted(members.items())
        if name.endswith(".npy")
    ]
    first = _first_label(path, parts, width, labels_from)
    parts = list(shift_labels(parts, first))
    in_ctrgcn_way = majority(parts, partial(_starts_at_origin, layout=layout))
    info = StoreInfo(
        layout=layout,
        pipeline="ctrgcn" if in_ctrgcn_way else "as-given",
        classes=_classes(parts, None if width is None else width - first, layout, first),
        dataset="ntu" if layout.name == "ntu25" else "npz",
        synthetic=SYNTHETIC_MARKER in members,
        digest=digest_of(*fingerprints, *([f"labels from {first}"] if first else [])),
    )
    return NpzClips(path, parts, _anonymous(parts), info)


def _open_parts(
    archive: zipfile.ZipFile,
    members: Mapping[str, zipfile.ZipInfo],
    path: Path,
    layout: Layout,
    labels_from: int | None,
) -> tuple[list[Part], int | None]:
    """The parts that are there, and the columns of their one-hot labels."""
    parts = []
    widths = set()
    for part in _PARTS:
        if f"x_{part}.npy" in members:
            rows = _open_rows(archive, members[f"x_{part}.npy"], f"{path}: x_{part}")
            _check_shape(rows, layout)
            labels, width = _open_labels(
                archive, members.get(f"y_{part}.npy"), path, part, labels_from
            )
            parts.append(Part(part, rows, labels))
            widths.add(width)
    if not parts:
        found = ", ".join(sorted(members)[:4]) or "nothing"
        raise SourceError(f"{path}: expected the arrays x_train or x_test, found {found}")
    if len({part.rows.header.shape[2] for part in parts}) > 1 or len(widths - {None}) > 1:
        raise SourceError(f"{path}: expected train and test of one form, found two")
    return parts, next(iter(widths - {None}), None)


def _open_rows(archive: zipfile.ZipFile, member: zipfile.ZipInfo, title: str) -> Rows:
    """The rows of a member, wherever and however it is stored."""
    path = Path(str(archive.filename))
    start = locate_member(archive, member)
    try:
        with archive.open(member) as file:
            header = read_npy_header(file, title)
    except SourceError:
        raise
    except (*(zipfile.BadZipFile, NotImplementedError, RuntimeError), OSError, ValueError) as error:
        raise SourceError(f"{title}: cannot be read: {error}") from None
    if member.file_size != header.start + header.nbytes:
        raise SourceError(
            f"{title}: expected {header.start + header.nbytes:,} bytes for an array of"
            f" {' x '.join(map(str, header.shape))}, found {member.file_size:,}: the file is"
            " damaged"
        )
    if member.compress_type == zipfile.ZIP_STORED:
        return StoredRows(path, start, header, title, member.CRC)
    if member.compress_type == zipfile.ZIP_DEFLATED:
        return DeflatedRows(path, start, member.compress_size, header, title, member.CRC)
    raise SourceError(
        f"{title}: expected an array stored as numpy.savez or savez_compressed does, found"
        f" compression {member.compress_type}"
    )


def _check_shape(rows: Rows, layout: Layout) -> None:
    shape = rows.header.shape
    each = layout.num_joints * len(layout.axes)
    wanted = " or ".join(str(bodies * each) for bodies in (1, 2))
    columns = [bodies * each for bodies in _BODIES]
    if len(shape) != 3 or 0 in shape or shape[2] not in columns:
        raise SourceError(
            f"{rows.title}: expected clips x frames x {wanted} columns (layout {layout.name}),"
            f" found {' x '.join(map(str, shape))}; --layout NAME for other joints"
        )
    if rows.header.dtype.kind != "f":
        raise SourceError(
            f"{rows.title}: expected coordinates as floats, found {rows.header.dtype}"
        )


def _open_labels(
    archive: zipfile.ZipFile,
    member: zipfile.ZipInfo | None,
    path: Path,
    part: str,
    labels_from: int | None,
) -> tuple[Int64[ndarray, " N"], int | None]:
    """The labels of a part, and how many classes they say that there are."""
    title = f"{path}: y_{part}"
    if member is None:
        raise SourceError(f"{title}: expected the labels of x_{part}, found no array of that name")
    rows = _open_rows(archive, member, title)
    header = rows.header
    if len(header.shape) not in (1, 2):
        raise SourceError(
            f"{title}: expected one label a row, as a number or one-hot, found the shape"
            f" {' x '.join(map(str, header.shape))}"
        )
    pieces = [
        read_labels(
            rows.block(at, min(at + _LABELS_AT_ONCE, len(rows))),
            title,
            first=at,
            labels_from=labels_from,
        )
        for at in range(0, len(rows), _LABELS_AT_ONCE)
    ]
    labels = np.concatenate([np.empty(0, np.int64), *pieces])
    return labels, header.shape[1] if len(header.shape) == 2 else None


def _first_label(
    path: Path, parts: Sequence[Part], width: int | None, labels_from: int | None
) -> int:
    """The number of the first class.

    Columns of one-hot labels say how many classes there are, so that those without a clip are no
    fault; but a single empty column in front of others that are all filled is what `eye(21)` makes
    of numbers from 1 to 20.
    """
    if width is not None and labels_from is None:
        used = set(np.concatenate([np.unique(part.labels) for part in parts]).tolist())
        if width in _NTU_CLASSES or used != set(range(1, width)):
            return 0
    return check_label_base(smallest_label(parts), labels_from, str(path), INGEST_OPTION)


def _classes(
    parts: Sequence[Part], width: int | None, layout: Layout, first: int
) -> tuple[str, ...]:
    highest = max(int(part.labels.max(initial=0)) for part in parts)
    if layout.name != "ntu25" or (width is not None and width not in _NTU_CLASSES):
        return numbered_classes(width or highest + 1, first=first)
    return ntu_classes(width or highest + 1)


def _anonymous(parts: Sequence[Part]) -> ClipIndex:
    """An index of rows of which nothing but the label and the part is known."""
    labels = np.concatenate([part.labels for part in parts])
    unknown = np.full(len(labels), UNKNOWN)
    names: list[str] = []
    memberships: list[tuple[str, ...]] = []
    for part in parts:
        names += [f"{part.name}_{row}" for row in range(len(part.rows))]
        memberships += [(part.name,)] * len(part.rows)
    return ClipIndex(tuple(names), labels, unknown, unknown, unknown, unknown, tuple(memberships))


def _unpacked(stored: Shaped[ndarray, " ..."], layout: Layout) -> Shaped[ndarray, "M T V C"]:
    shape = (len(stored), -1, layout.num_joints, len(layout.axes))
    return stored.reshape(shape).swapaxes(0, 1)


def _starts_at_origin(stored: Shaped[ndarray, " ..."], layout: Layout) -> bool | None:
    """Whether the origin joint is at zero where actor 1 first is, as CTR-GCN leaves it."""
    first_actor = _unpacked(stored, layout)[0]
    present = np.flatnonzero(first_actor.any(axis=(1, 2)))
    return not first_actor[present[0], layout.origin].any() if len(present) else None
