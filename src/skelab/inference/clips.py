"""Clips to predict, from whatever file they are in, prepared as a network was trained on them."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from jaxtyping import Shaped
from numpy import ndarray

from skelab.data.clips.clip import BodyTrack, Clip, RawClip, SampleInfo
from skelab.data.opened import OpenedClips, holds_clips, open_clips
from skelab.data.preprocessing import get_pipeline
from skelab.data.recordings.base import read_bytes
from skelab.data.recordings.skeleton_file import read_skeleton_file
from skelab.errors import DataError, LayoutError, NoBodyError, SourceError, unknown_name
from skelab.files.npy import parse_npy
from skelab.inference.spec import NetworkSpec
from skelab.skeleton import get_layout

MOST_CLIPS: Final = 100
"""Clips of one file that are predicted without being named."""

_METRES: Final = "metres"
_NTU: Final = get_layout("ntu25")
_KINDS: Final = ".skeleton, .npy (T V C or M T V C), .npz (CTR-GCN's rows) or a clip store"


def read_clips(path: Path, spec: NetworkSpec, names: Sequence[str] = ()) -> list[Clip]:
    """The clips of a file, as the network of ``spec`` was trained on them.

    Recordings (``.skeleton``, and ``.npy`` with coordinates as recorded) go through the pipeline
    that the network names. Prepared clips (npz, store) must have been made by it; their labels
    become those of the network's classes, by name.

    Args:
        path: The file.
        spec: The network.
        names: Clips to take, for files that hold several; otherwise all, up to ``MOST_CLIPS``.

    Raises:
        DataError: The file cannot be read, has other joints, units or preprocessing than the
            network was trained on, nobody is in it, or a name is not.
    """
    if not path.exists():
        raise SourceError(f"{path}: there is no such file; expected {_KINDS}")
    if path.suffix in (".skeleton", ".npy"):
        if names:
            raise SourceError(f"{path}: holds one clip; --clip is for files that hold several")
        raw = _read_skeleton(path, spec) if path.suffix == ".skeleton" else _read_npy(path, spec)
        return [prepare_clip(raw, spec, str(path), name=path.stem)]
    if not holds_clips(path):
        raise SourceError(f"{path}: expected {_KINDS}, found another kind of file")
    return list(
        _chosen_clips(open_clips(path, layout=spec.layout if _is_npz(path) else None), spec, names)
    )


def prepare_clip(raw: RawClip, spec: NetworkSpec, where: str, *, name: str) -> Clip:
    """A recording, preprocessed as the network's training clips were.

    Raises:
        DataError: The pipeline cannot be applied to it, or nobody is in it; the message says
            where.
    """
    pipeline = get_pipeline(spec.inputs.pipeline)
    try:
        return pipeline.prepare(raw, spec.layout, SampleInfo(name))
    except NoBodyError as error:
        raise NoBodyError(f"{where}: nobody to recognise: {error}") from None
    except (DataError, LayoutError) as error:
        raise DataError(f"{where}: pipeline {pipeline.name} cannot be applied: {error}") from None


def recording(joints: Shaped[ndarray, " ..."], spec: NetworkSpec, where: str) -> RawClip:
    """An array T V C or M T V C, coordinates as recorded, as a recording with M bodies.

    A body is absent in frames in which all its numbers are zero.

    Raises:
        DataError: It has other joints or axes than the network takes, or numbers that are not
            finite.
    """
    layout = spec.layout
    shape = (layout.num_joints, len(layout.axes))
    bodies = joints[None] if joints.ndim == 3 else joints
    if bodies.ndim != 4 or bodies.shape[2:] != shape or 0 in bodies.shape:
        raise DataError(
            f"{where}: expected frames x {shape[0]} joints x {shape[1]} ({', '.join(layout.axes)};"
            f" layout {layout.name}), or several bodies of that, found the shape"
            f" {' x '.join(map(str, joints.shape)) or 'of a single number'}"
        )
    if bodies.dtype.kind not in "fiu" or not np.isfinite(bodies).all():
        raise DataError(
            f"{where}: expected finite numbers, found others; write 0 where a joint was not seen"
        )
    tracks = {}
    for number, body in enumerate(bodies.astype(np.float64)):
        frames = np.flatnonzero(body.any(axis=(1, 2)))
        if len(frames):
            tracks[str(number)] = BodyTrack(frames.astype(np.int32), body[frames])
    return RawClip(bodies.shape[1], tracks, actors_chosen=True)


def _read_skeleton(path: Path, spec: NetworkSpec) -> RawClip:
    _check(
        path,
        {"joints": _NTU.joints, "axes": _NTU.axes, "units": _METRES},
        {
            "joints": spec.layout.joints,
            "axes": spec.layout.axes,
            "units": spec.inputs.units,
        },
    )
    return read_skeleton_file(path)


def _read_npy(path: Path, spec: NetworkSpec) -> RawClip:
    return recording(parse_npy(read_bytes(path), str(path)), spec, str(path))


def _chosen_clips(clips: OpenedClips, spec: NetworkSpec, names: Sequence[str]) -> Iterator[Clip]:
    _check(
        clips.path,
        {
            "layout": clips.info.layout.name,
            "joints": clips.info.layout.joints,
            "preprocessing": clips.info.pipeline,
            "units": clips.info.units,
        },
        {
            "layout": spec.layout.name,
            "joints": spec.layout.joints,
            "preprocessing": spec.inputs.pipeline,
            "units": spec.inputs.units,
        },
    )
    rows = clips.index.rows_by_name
    for name in names:
        if name not in rows:
            raise SourceError(f"{clips.path}: {_no_such_clip(name, clips)}")
    if not names and len(clips) > MOST_CLIPS:
        raise SourceError(
            f"{clips.path}: holds {len(clips):,} clips, more than {MOST_CLIPS}; choose some by"
            f" --clip NAME, say --clip {clips.index.names[0]}, or use `skelab evaluate`"
        )
    for row in [rows[name] for name in names] or range(len(clips)):
        yield _relabelled(clips.clip(row), clips.info.classes, spec.classes)


def _relabelled(clip: Clip, classes: tuple[str, ...], known: tuple[str, ...]) -> Clip:
    """The clip with its class counted as the network counts; without one that it does not know."""
    label = clip.info.label
    if label is None or classes == known:
        return clip
    name = classes[label] if label < len(classes) else None
    own = known.index(name) if name in known else None
    return replace(clip, info=replace(clip.info, label=own))


def _no_such_clip(name: str, clips: OpenedClips) -> str:
    if len(clips) <= MOST_CLIPS:
        return unknown_name("clip", name, clips.index.names)
    first, last = clips.index.names[0], clips.index.names[-1]
    return f"there is no clip {name!r} among {len(clips):,}, from {first} to {last}"


def _check(path: Path, found: dict[str, Any], trained: dict[str, Any]) -> None:
    for name, expected in trained.items():
        if found[name] != expected:
            raise DataError(
                f"{path}: the network was trained on {name} {_brief(expected)}, found"
                f" {_brief(found[name])}"
            )


def _brief(value: object) -> str:
    if not isinstance(value, tuple):
        return str(value)
    text = ", ".join(map(str, value))
    return f"{len(value)}: {text if len(text) <= 60 else text[:60] + '…'}"


def _is_npz(path: Path) -> bool:
    return path.suffix == ".npz"
