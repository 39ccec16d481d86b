"""From a clip store to the files that other repositories read, one clip at a time.

Whatever the size of the set, one clip is in memory; the files appear whole, or not at all.
"""

import pickle
import re
import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from io import BufferedIOBase
from pathlib import Path
from typing import Any, Final, cast

import numpy as np
from jaxtyping import Float32, Int64
from numpy import ndarray

from skelab.data.clips.clip import Clip
from skelab.data.clips.opened_clips import OpenedClips
from skelab.data.clips.splits import GivenSplit, Split
from skelab.data.cutting import CUT_PIPELINES, cut_segments
from skelab.data.datasets import check_split, parse_split
from skelab.data.datasets.ntu import SYNTHETIC_MARKER
from skelab.data.foreign.orders import ctrgcn_row_order
from skelab.data.preprocessing import pad_loop
from skelab.errors import DataError, OutputError, unknown_name
from skelab.files.atomic import atomic_folder, atomic_write
from skelab.files.kinds import CTRGCN_NPZ, MARKER, NPY, PICKLE, STORE
from skelab.files.output import check_output

CUT: Final = "clips"
"""Form of ours: trimmed clips, one a segment."""

_BODIES: Final = 2
_STREAMS: Final = ("joint", "bone")
_MSG3D_FILES: Final = (
    SYNTHETIC_MARKER,
    *(f"{part}_label.pkl" for part in ("train", "val")),
    *(f"{part}_data_{stream}.npy" for part in ("train", "val") for stream in _STREAMS),
)
_FILES: Final = {"ctrgcn": CTRGCN_NPZ, "pyskl": PICKLE, CUT: STORE}
_SYNTHETIC: Final = '{"synthetic": true}\n'
_DAY_ZERO: Final = (1980, 1, 1, 0, 0, 0)  # of members of a zip: same clips, same bytes

Progress = Callable[[int, int], None]
"""Called with the clips that are written, and with all clips."""

Rows = Sequence[int] | Int64[ndarray, " R"]


@dataclass(frozen=True)
class Target:
    """A form that other repositories read.

    Attributes:
        name: As in ``--to``.
        title: What it is.
        pipelines: Preprocessings whose clips it may hold, the usual one first.
        source: Whose form it is.
    """

    name: str
    title: str
    pipelines: tuple[str, ...]
    source: str


@dataclass(frozen=True)
class Conversion:
    """What a conversion wrote.

    Attributes:
        files: The files.
        counts: Clips of each part, by the part's name.
        left_over: Clips of the store that are in no part of the split; for ``clips`` the segments
            in which nobody stands.
    """

    files: tuple[Path, ...]
    counts: dict[str, int]
    left_over: int


def list_targets() -> tuple[Target, ...]:
    """The forms that can be written, by name."""
    return tuple(_TARGETS[name][0] for name in sorted(_TARGETS))


def convert(
    clips: OpenedClips,
    out: Path,
    *,
    to: str,
    splits: Sequence[str],
    on_progress: Progress | None = None,
    force: bool = False,
) -> Conversion:
    """Write clips in the form of another repository.

    ``ctrgcn`` is one npz with ``x_train, y_train, x_test, y_test``: x float32 N x T x 150 (for 25
    joints), zeros behind the end, T that of the longest clip of the store; y one-hot float64; rows
    in the authors' order, or, under the clips' own split, in that of the clips. ``msg3d`` is a
    folder with ``{train,val}_data_{joint,bone}.npy``,
    float32 N x 3 x 300 x V x 2, and ``{train,val}_label.pkl``, rows by name. ``pyskl`` is one
    pickle with ``split`` and ``annotations``; key points are float16, M x T x V x C. ``clips`` is
    a store of trimmed clips, one for each segment of a store of sequences, which the other forms
    need. Clips that are synthetic stay labelled: by ``SYNTHETIC.json`` in the npz and in the
    folder, and by a key ``synthetic`` in the pickle.

    Args:
        clips: An opened store, made by the preprocessing that the form needs.
        out: File or folder to write.
        to: Name of the form.
        splits: Splits, by name; ``pyskl`` takes several, ``clips`` none, the others one.
        on_progress: Called now and then.
        force: Replace files of the form that are there.

    Raises:
        DataError: The form is unknown, the clips were prepared in another way or are untrimmed, a
            clip has no label, is too long or has too many bodies.
        SplitError: A split is unknown or does not fit the clips.
        OutputError: The disk is full, the place cannot be written, or there is a file that is not
            to be overwritten.

    Source: Uason-Chen/CTR-GCN@e13d758, ``data/ntu/seq_transformation.py``;
    kenziyuliu/MS-G3D@2f927f4, ``data_gen``; kennymckormick/pyskl, ``tools/data``.
    """
    if to not in _TARGETS:
        raise DataError(unknown_name("form", to, _TARGETS))
    target, write = _TARGETS[to]
    _check(clips, target, splits)
    for split in splits:
        check_split(split, clips.info.dataset, clips.index, clips.path, option="--split ")
    _check_out(clips, Path(out), to, force)
    return write(clips, Path(out), splits, on_progress or (lambda done, total: None))


def _check_out(clips: OpenedClips, out: Path, to: str, force: bool) -> None:
    """Refuse to overwrite what is read, or anything but an earlier conversion."""
    if to in _FILES:
        check_output(out, _FILES[to], inputs=[clips.path], force=force)
        return
    if out.exists() and not out.is_dir():
        raise OutputError(f"{out}: expected a folder for msg3d, found a file")
    if clips.path.is_dir() and out.is_dir() and out.samefile(clips.path):
        raise OutputError(f"{out}: is what is being read; choose another folder")
    kinds = {".npy": NPY, ".pkl": PICKLE, ".json": MARKER}
    for name in _MSG3D_FILES:
        check_output(out / name, kinds[Path(name).suffix], inputs=[clips.path], force=force)


def _check(clips: OpenedClips, target: Target, splits: Sequence[str]) -> None:
    """Make sure that the clips can be written in this form, before anything is."""
    if target.name == CUT:
        if splits:
            raise DataError(f"{target.title}: expected no split, found {splits[0]}")
        return
    if clips.index.untrimmed.any():
        raise DataError(
            f"{clips.path}: expected trimmed clips for {target.title}, found"
            f" {int(clips.index.untrimmed.sum()):,} sequences; `skelab convert {clips.path} CLIPS"
            f" --to {CUT}` cuts a clip from each segment"
        )
    if clips.info.pipeline not in target.pipelines:
        needed = " or ".join(target.pipelines)
        raise DataError(
            f"{clips.path}: expected clips of pipeline {needed} for {target.title}, found those of"
            f" {clips.info.pipeline}; `skelab ingest SOURCE STORE --pipeline"
            f" {target.pipelines[0]}` makes them"
        )
    if clips.info.layout.axes != ("x", "y", "z"):
        raise DataError(
            f"{clips.path}: expected coordinates x, y, z for {target.title}, found"
            f" {', '.join(clips.info.layout.axes)}"
        )
    if not splits or (len(splits) > 1 and target.name != "pyskl"):
        wanted = "at least one split" if target.name == "pyskl" else "one split"
        raise DataError(f"{target.title}: expected {wanted}, found {len(splits)}; see --split")
    unlabelled = np.flatnonzero(clips.index.labels < 0)
    if len(unlabelled):
        raise DataError(
            f"{clips.path}: expected a label for every clip, found none for"
            f" {clips.index.names[unlabelled[0]]} and {len(unlabelled) - 1} more"
        )


def _write_ctrgcn(
    clips: OpenedClips, out: Path, splits: Sequence[str], on_progress: Progress
) -> Conversion:
    parts = _rows_in_order(clips, splits[0])
    longest = int(np.max(clips.lengths()))
    layout = clips.info.layout
    values = _BODIES * layout.num_joints * len(layout.axes)
    total, done = sum(len(rows) for rows in parts.values()), 0
    with (
        atomic_write(out) as temporary,
        zipfile.ZipFile(temporary, "w", zipfile.ZIP_STORED, allowZip64=True) as archive,
    ):
        for part, rows in parts.items():
            with _member(archive, f"x_{part}") as file:
                _write_header(file, (len(rows), longest, values), np.dtype("<f4"))
                for row in rows:
                    file.write(_padded(clips.clip(int(row)), longest).tobytes())
                    done += 1
                    on_progress(done, total)
            with _member(archive, f"y_{part}") as file:
                _write_header(file, (len(rows), len(clips.info.classes)), np.dtype("<f8"))
                for label in clips.index.labels[rows]:
                    file.write(
                        (np.arange(len(clips.info.classes)) == label).astype("<f8").tobytes()
                    )
        if clips.info.synthetic:
            archive.writestr(zipfile.ZipInfo(SYNTHETIC_MARKER, date_time=_DAY_ZERO), _SYNTHETIC)
    return Conversion((out,), {part: len(rows) for part, rows in parts.items()}, len(clips) - total)


def _write_msg3d(
    clips: OpenedClips, out: Path, splits: Sequence[str], on_progress: Progress
) -> Conversion:
    chosen = parse_split(splits[0])
    train, test = (_ordered(clips, chosen, rows) for rows in chosen.rows(clips.index))
    parts = {"train": train, "val": test}
    layout = clips.info.layout
    parents = list(layout.parents)
    total, done = sum(len(rows) for rows in parts.values()), 0
    files: list[Path] = []
    with atomic_folder(out) as folder:

        def new_file(name: str) -> Path:
            files.append(out / name)
            return folder / name

        if clips.info.synthetic:
            new_file(SYNTHETIC_MARKER).write_text(_SYNTHETIC)
        for part, rows in parts.items():
            names = [_original_name(clips, int(row)) for row in rows]
            labels = clips.index.labels[rows].tolist()
            with new_file(f"{part}_label.pkl").open("wb") as file:
                pickle.dump((names, labels), file, protocol=2)  # the authors read any
            paths = [new_file(f"{part}_data_{stream}.npy") for stream in _STREAMS]
            with paths[0].open("wb") as joint_file, paths[1].open("wb") as bone_file:
                shape = (len(rows), 3, 300, layout.num_joints, _BODIES)
                _write_header(joint_file, shape, np.dtype("<f4"))
                _write_header(bone_file, shape, np.dtype("<f4"))
                for row in rows:
                    joints = _looped(clips.clip(int(row)))  # C T V M
                    joint_file.write(joints.tobytes())
                    bone_file.write((joints - joints[:, :, parents]).tobytes())
                    done += 1
                    on_progress(done, total)
        if not clips.info.synthetic:  # of an earlier conversion that is replaced
            (out / SYNTHETIC_MARKER).unlink(missing_ok=True)
    return Conversion(
        tuple(files), {part: len(rows) for part, rows in parts.items()}, len(clips) - total
    )


def _write_pyskl(
    clips: OpenedClips, out: Path, splits: Sequence[str], on_progress: Progress
) -> Conversion:
    parts: dict[str, list[str]] = {}
    used: set[str] = set()
    for text in splits:
        for side, rows in zip(("train", "val"), parse_split(text).rows(clips.index), strict=True):
            names = [clips.index.names[row] for row in _by_name(clips, rows)]
            parts[f"{_word(text)}_{side}"] = names
            used.update(names)
    written = [row for row, name in enumerate(clips.index.names) if name in used]

    def annotations() -> Iterator[dict[str, Any]]:
        for done, row in enumerate(written, start=1):
            clip = clips.clip(row)
            yield {
                "frame_dir": clip.info.name,
                "label": clip.info.label,
                "total_frames": clip.num_frames,
                "keypoint": _as_float16(clip),
            }
            on_progress(done, len(written))

    head: dict[str, Any] = {"split": parts}
    if clips.info.synthetic:
        head["synthetic"] = True
    with atomic_write(out) as temporary, temporary.open("wb") as file:
        _stream_pickle(file, head, "annotations", annotations())
    counts = {part: len(names) for part, names in parts.items()}
    return Conversion((out,), counts, len(clips) - len(written))


def _write_clips(
    clips: OpenedClips, out: Path, splits: Sequence[str], on_progress: Progress
) -> Conversion:
    report = cut_segments(clips, out, on_progress=on_progress, force=True)
    return Conversion((out,), {CUT: report.num_clips}, report.num_left_out)


def _word(split: str) -> str:
    """A split that is written out as one word: ``subject:1,3/2`` gives ``subject-1-3-2``."""
    return re.sub(r"[^\w.]+", "-", split)


def _rows_in_order(clips: OpenedClips, split: str) -> dict[str, Rows]:
    """Rows of the training and the test part, in the order of the authors where they have one."""
    chosen = parse_split(split)
    train, test = chosen.rows(clips.index)
    if isinstance(chosen, GivenSplit):
        return {"train": train, "test": test}
    infos = [clips.index.sample(int(row)) for row in (*train, *test)]
    known = np.concatenate([train, test])
    first, second = ctrgcn_row_order(infos, split)
    return {"train": known[list(first)], "test": known[list(second)]}


def _ordered(clips: OpenedClips, split: Split, rows: Rows) -> Rows:
    """Rows by name; under a file's own split in the order of the file, which says who is who."""
    return rows if isinstance(split, GivenSplit) else _by_name(clips, rows)


def _by_name(clips: OpenedClips, rows: Rows) -> Int64[ndarray, " R"]:
    names = clips.index.names
    return np.array(sorted(rows, key=lambda row: names[row]), dtype=np.int64)


def _padded(clip: Clip, longest: int) -> Float32[ndarray, "longest values"]:
    """A clip as CTR-GCN keeps it: two bodies side by side, zeros behind the end."""
    _check_bodies(clip)
    shape = (longest, _BODIES, *clip.joints.shape[2:])
    padded = np.zeros(shape, dtype="<f4")
    padded[: clip.num_frames, : clip.num_bodies] = clip.joints.swapaxes(0, 1)
    return padded.reshape(longest, -1)


def _looped(clip: Clip) -> Float32[ndarray, "C 300 V 2"]:
    """A clip as MS-G3D keeps it."""
    try:
        return np.ascontiguousarray(pad_loop(clip.joints), dtype="<f4")
    except DataError as error:
        raise DataError(f"{clip.info.name}: {error}") from None


def _as_float16(clip: Clip) -> ndarray[Any, np.dtype[np.float16]]:
    """A clip as PYSKL keeps it: half precision, good to 1 mm two metres from the origin."""
    with np.errstate(over="ignore"):
        points = clip.joints.astype("<f2")
    if not np.isfinite(points).all():
        raise DataError(f"{clip.info.name}: expected coordinates below 65,504 for PYSKL's float16")
    return points


def _check_bodies(clip: Clip) -> None:
    if clip.num_bodies > _BODIES:
        raise DataError(
            f"{clip.info.name}: expected at most {_BODIES} bodies, found {clip.num_bodies}"
        )


def _original_name(clips: OpenedClips, row: int) -> str:
    """The name as the authors list it: that of the file, for NTU RGB+D."""
    name = clips.index.names[row]
    return f"{name}.skeleton" if clips.info.dataset == "ntu" else name


def _member(archive: zipfile.ZipFile, name: str) -> BufferedIOBase:
    """An array to be written into an npz, not compressed, so that it can be read in place."""
    entry = zipfile.ZipInfo(f"{name}.npy", date_time=_DAY_ZERO)
    entry.external_attr = 0o644 << 16
    return cast(BufferedIOBase, archive.open(entry, "w", force_zip64=True))


def _write_header(file: BufferedIOBase, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
    content = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, content)


def _stream_pickle(
    file: BufferedIOBase, head: dict[str, Any], key: str, entries: Iterable[dict[str, Any]]
) -> None:
    """Pickle ``{**head, key: [*entries]}`` without holding more than one entry.

    Protocol 3 has bytes but no frames, so that what was pickled one by one can be put together;
    every Python 3 reads it. Arrays are named as numpy 1 names them, which numpy 2 reads too.
    """
    file.write(pickle.PROTO + b"\x03" + pickle.EMPTY_DICT + pickle.MARK)
    for name, value in head.items():
        file.write(_opcodes(name) + _opcodes(value))
    file.write(_opcodes(key) + pickle.EMPTY_LIST + pickle.MARK)
    for entry in entries:
        file.write(_opcodes(entry))
    file.write(pickle.APPENDS + pickle.SETITEMS + pickle.STOP)


def _opcodes(value: Any) -> bytes:
    """What stands between the first and the last opcode of a pickle."""
    body = pickle.dumps(value, protocol=3)[2:-1]
    return body.replace(b"cnumpy._core.multiarray\n", b"cnumpy.core.multiarray\n", 1)


_TARGETS: Final = {
    target.name: (target, write)
    for target, write in (
        (
            Target("ctrgcn", "CTR-GCN's npz", ("ctrgcn",), "Uason-Chen/CTR-GCN@e13d758"),
            _write_ctrgcn,
        ),
        (
            Target("msg3d", "MS-G3D's npy and pkl", ("msg3d",), "kenziyuliu/MS-G3D@2f927f4"),
            _write_msg3d,
        ),
        (
            Target("pyskl", "PYSKL's pkl", ("clean", "ctrgcn"), "kennymckormick/pyskl"),
            _write_pyskl,
        ),
        (
            Target(
                CUT,
                "a store of trimmed clips, one a segment",
                CUT_PIPELINES,
                "ours",
            ),
            _write_clips,
        ),
    )
}
