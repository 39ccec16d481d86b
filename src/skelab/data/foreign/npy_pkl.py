"""A folder of ``{train,val}_data_joint.npy`` and ``{train,val}_label.pkl``, read in place.

The form of MS-G3D, 2s-AGCN and, with ``{train,val}_data.npy``, ST-GCN.
"""

import os
import re
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import ClassVar, Final, NamedTuple

import numpy as np
from jaxtyping import Float32, Shaped
from numpy import ndarray

from skelab.data.clips.clip import SampleInfo
from skelab.data.clips.index import ClipIndex
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
from skelab.data.foreign.rows import StoredRows
from skelab.data.recordings.class_names import classes_of, describe_sample, is_from_ntu
from skelab.data.recordings.label_base import INGEST_OPTION, check_label_base
from skelab.errors import DataError, SourceError
from skelab.files.npy import read_npy_header
from skelab.files.plain_pickle import load_plain_pickle
from skelab.files.reading import special_kind
from skelab.skeleton import Layout, get_layout

_DATA: Final = re.compile(r"(?P<part>train|val|test)_data(?P<stream>_\w+)?\.npy", re.ASCII)
_LABEL: Final = "{part}_label.pkl"
_JOINTS: Final = ("_joint", None)
_PARTS: Final = ("train", "val", "test")
_LAYOUTS: Final = {25: "ntu25", 18: "openpose18", 17: "coco17"}
_ENDINGS: Final = (".skeleton", ".json")
_SAMPLED_AT: Final = 64  # places of an array that go into its digest
_SAMPLED: Final = 4096


class NpyClips(PreparedClips):
    """The clips of arrays N x C x T x V x M, with names and labels in a pickle beside each.

    Where the clips were prepared as MS-G3D's are, they were looped to the full length: one period
    is given, as our own ``msg3d`` pipeline does, if it reproduces all frames bit for bit, else all
    frames, be the last ones empty: `skelab convert` then writes the same array again. Elsewhere
    the zeros behind the last pose are left out.

    Source: kenziyuliu/MS-G3D@2f927f4, ``data_gen/ntu_gendata.py``, ``feeders/feeder.py``.
    """

    kind: ClassVar[str] = "npy-pkl"
    title: ClassVar[str] = "MS-G3D npy and pkl"
    looped: bool = False
    """Whether the clips of the file were looped, and not padded with zeros."""

    @property
    def max_bodies(self) -> int:
        """Bodies that a row has room for."""
        bodies: int = self.parts[0].rows.header.shape[4]
        return bodies

    def _unpack(self, stored: Shaped[ndarray, " ..."]) -> Shaped[ndarray, "M T V C"]:
        return stored.transpose(3, 1, 2, 0)

    def _valid_frames(self, poses: Float32[ndarray, "M T V C"]) -> int:
        filled = super()._valid_frames(poses)
        whole = filled == poses.shape[1] or self.looped
        return _period(poses) if self.info.pipeline == "msg3d" and whole and filled else filled


class _Files(NamedTuple):
    """The files of one part."""

    part: str
    data: Path
    labels: Path


def is_npy_pkl(path: Path) -> bool:
    """Whether a folder holds at least one array of this form with its labels."""
    return bool(_find(path))


def open_npy_pkl(
    path: Path, *, layout: Layout | None = None, labels_from: int | None = None
) -> NpyClips:
    """Open a folder of this form: names and labels are read, poses are not.

    Args:
        path: The folder.
        layout: The joints; None goes by their number.
        labels_from: The number of the first class; None takes 0, where one label is 0 or names of
            NTU RGB+D say the same action as the label.

    Raises:
        SourceError: There are only other streams than joints, a file is damaged, has the wrong
            shape, or does not fit the one beside it, or nobody knows whether labels are counted
            from 0.
    """
    found = _find(path)
    files = [pick for part in _PARTS if (pick := _joints_of(part, found, path))]
    arrays = [_open_array(each.data, layout) for each in files]
    layouts = {chosen.name: chosen for _, chosen in arrays}
    shapes = {rows.header.shape[1:] for rows, _ in arrays}
    if len(shapes) != 1:
        raise SourceError(f"{path}: expected all parts in one form, found {len(shapes)}")
    parts = [
        Part(each.part, rows, *_read_label_file(each.labels, len(rows), labels_from))
        for each, (rows, _) in zip(files, arrays, strict=True)
    ]
    first = 0
    if labels_from is not None or not all(map(is_from_ntu, _infos(parts))):
        first = check_label_base(smallest_label(parts), labels_from, str(path), INGEST_OPTION)
        parts = list(shift_labels(parts, first))
    infos = _infos(parts)
    try:
        index = ClipIndex.of(infos)
    except DataError as error:
        raise SourceError(f"{path}: {error}") from None
    chosen = next(iter(layouts.values()))
    in_msg3d_way = chosen.axes == ("x", "y", "z") and majority(
        parts, partial(_is_centred, origin=chosen.origin)
    )
    from_ntu = all(is_from_ntu(info) for info in infos)
    info = StoreInfo(
        layout=chosen,
        pipeline="msg3d" if in_msg3d_way else "as-given",
        classes=classes_of(infos, first=first),
        dataset="ntu" if from_ntu else "npy-pkl",
        units="metres" if chosen.axes == ("x", "y", "z") else "normalised",
        synthetic=(path / SYNTHETIC_MARKER).is_file(),
        digest=digest_of(*index.names, *index.labels, *map(_fingerprint, files)),
    )
    clips = NpyClips(path, parts, index, info)
    clips.looped = in_msg3d_way and majority(parts, _ends_filled)
    return clips


def _infos(parts: Sequence[Part]) -> list[SampleInfo]:
    """What the names and labels say of each row."""
    return [
        describe_sample(name, int(label), (part.name,))
        for part in parts
        for name, label in zip(part.names or (), part.labels, strict=True)
    ]


def _find(path: Path) -> Mapping[str, Mapping[str | None, Path]]:
    """Arrays by part and stream, where the part has its labels."""
    found: dict[str, dict[str | None, Path]] = {}
    if not path.is_dir():
        return found
    for entry in sorted(path.iterdir()):
        match = _DATA.fullmatch(entry.name)
        if match and (path / _LABEL.format(part=match["part"])).is_file():
            found.setdefault(match["part"], {})[match["stream"]] = entry
    return found


def _joints_of(
    part: str, found: Mapping[str, Mapping[str | None, Path]], path: Path
) -> _Files | None:
    if part not in found:
        return None
    for stream in _JOINTS:
        if stream in found[part]:
            return _Files(part, found[part][stream], path / _LABEL.format(part=part))
    others = ", ".join(file.name for file in found[part].values())
    raise SourceError(
        f"{path}: expected {part}_data_joint.npy, found only {others}; other streams are derived"
        " from the joints"
    )


def _open_array(path: Path, layout: Layout | None) -> tuple[StoredRows, Layout]:
    kind = special_kind(path)
    if kind:
        raise SourceError(f"{path}: expected an array of numpy, found {kind}")
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            header = read_npy_header(file, str(path))
    except OSError as error:
        raise SourceError(f"{path}: cannot be read: {error.strerror or error}") from None
    shape = header.shape
    written = " x ".join(map(str, shape))
    if header.start + header.nbytes != size:
        raise SourceError(
            f"{path}: expected {header.start + header.nbytes:,} bytes for an array of {written},"
            f" found {size:,}: the file was cut off or is damaged"
        )
    if len(shape) != 5 or 0 in shape or header.dtype.kind != "f":
        raise SourceError(
            f"{path}: expected floats of clips x axes x frames x joints x bodies, found"
            f" {header.dtype} of {written}"
        )
    if layout is None and shape[3] not in _LAYOUTS:
        known = ", ".join(map(str, _LAYOUTS))
        raise SourceError(
            f"{path}: expected {known} joints, found {shape[3]}; --layout NAME says which they are"
        )
    chosen = layout or get_layout(_LAYOUTS[shape[3]])
    if shape[1] != len(chosen.axes) or shape[3] != chosen.num_joints:
        raise SourceError(
            f"{path}: expected {len(chosen.axes)} axes and {chosen.num_joints} joints for layout"
            f" {chosen.name}, found {shape[1]} and {shape[3]}"
        )
    return StoredRows(path, 0, header, str(path)), chosen


def _read_label_file(
    path: Path, rows: int, labels_from: int | None
) -> tuple[Shaped[ndarray, " N"], tuple[str, ...]]:
    """Labels and names of a part; the pickle may hold nothing that runs."""
    content = load_plain_pickle(path, SourceError)
    expected = f"{path}: expected a pickle of names and labels, {rows:,} each"
    if not isinstance(content, list | tuple) or len(content) < 2:
        raise SourceError(f"{expected}, found a {type(content).__name__}")
    names, found = content[:2]
    if not all(isinstance(each, list | tuple | ndarray) for each in (names, found)):
        raise SourceError(
            f"{expected}, found a {type(names).__name__} and a {type(found).__name__}"
        )
    if len(names) != rows or len(found) != rows:
        raise SourceError(f"{expected}, found {len(names):,} and {len(found):,}")
    if not all(isinstance(name, str) for name in names):
        raise SourceError(f"{expected}, found names that are no text")
    try:
        numbers = np.asarray(found)
    except ValueError:
        numbers = np.empty((0, 0))
    if numbers.ndim != 1 or numbers.dtype.kind not in "iuf":
        raise SourceError(f"{expected}, found labels that are no numbers")
    labels = read_labels(numbers, str(path), labels_from=labels_from)
    return labels, tuple(_without_ending(str(name)) for name in names)


def _without_ending(name: str) -> str:
    for ending in _ENDINGS:
        name = name.removesuffix(ending)
    return name


def _is_centred(stored: Shaped[ndarray, "C T V M"], origin: int) -> bool | None:
    """Whether the origin joint of body 1 is at zero in every frame, as MS-G3D leaves it."""
    return not stored[:, :, origin, 0].any() if stored[..., 0].any() else None


def _ends_filled(stored: Shaped[ndarray, "C T V M"]) -> bool | None:
    """Whether the last frame has a pose, as that of a looped clip has unless it is empty itself."""
    return bool(stored[:, -1].any()) if stored.any() else None


def _period(poses: Float32[ndarray, "M T V C"]) -> int:
    """The fewest frames that give all frames, bit for bit, when they are repeated."""
    frames: int = poses.shape[1]
    flat = np.ascontiguousarray(poses.swapaxes(0, 1)).reshape(frames, -1).view(np.uint32)
    again = np.flatnonzero((flat == flat[0]).all(axis=1))
    for period in again[1:]:
        if np.array_equal(flat[period:], flat[:-period]):
            return int(period)
    return frames


def _fingerprint(files: _Files) -> Sequence[object]:
    """Size of an array and pieces of it, so that another one is told apart without reading it."""
    size = files.data.stat().st_size
    with files.data.open("rb") as file:
        pieces = [
            os.pread(file.fileno(), _SAMPLED, at)
            for at in np.linspace(0, max(0, size - _SAMPLED), _SAMPLED_AT).astype(int).tolist()
        ]
    return files.part, size, b"".join(pieces)
