"""Clips to predict, from whatever file they are in, prepared as a network was trained on them."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from skelab.data.audit.anatomy import check_anatomy, refuse_if_scrambled
from skelab.data.clips.clip import Clip, RawClip, SampleInfo
from skelab.data.clips.opened_clips import OpenedClips
from skelab.data.opened import MOST_NAMED, holds_clips, open_clips, row_named
from skelab.data.preprocessing import get_pipeline
from skelab.data.recordings.one_file import SUFFIXES, read_recording
from skelab.errors import DataError, LayoutError, NoBodyError, SourceError
from skelab.inference.spec import NetworkSpec, pipeline_remedy
from skelab.skeleton import get_layout

MOST_CLIPS: Final = MOST_NAMED
"""Clips of one file that are predicted without being named."""

_METRES: Final = "metres"
_NTU: Final = get_layout("ntu25")
_KINDS: Final = (
    ".skeleton, .npy (T V C or M T V C), .csv (a line of numbers a frame), a folder of these, .npz"
    " (CTR-GCN's rows) or a clip store"
)


def read_clips(
    path: Path, spec: NetworkSpec, names: Sequence[str] = (), *, anatomy_check: bool = True
) -> list[Clip]:
    """The clips of a file, as the network of ``spec`` was trained on them.

    Recordings (``.skeleton``, and ``.npy`` or ``.csv`` with coordinates as recorded) go through
    the pipeline that the network names; of a folder, all of them that lie in it, by name. Prepared
    clips (npz, store) must have been made by it; their labels become those of the network's
    classes, by name.

    Args:
        path: The file.
        spec: The network.
        names: Clips to take, for files that hold several; otherwise all, up to ``MOST_CLIPS``.
        anatomy_check: Refuse arrays whose joints are scrambled.

    Raises:
        DataError: The file cannot be read, has other joints, units or preprocessing than the
            network was trained on, its joints are scrambled, nobody is in it, or a name is not.
    """
    if not path.exists():
        raise SourceError(f"{path}: there is no such file; expected {_KINDS}")
    if path.is_dir() and not holds_clips(path):
        files = [file for file in sorted(path.iterdir()) if file.suffix in SUFFIXES]
        if names:
            files = [file for file in files if file.stem in set(names)]
        if not files:
            raise SourceError(f"{path}: expected recordings in the folder, found none; {_KINDS}")
        if len(files) > MOST_CLIPS:
            raise SourceError(
                f"{path}: holds {len(files):,} recordings, more than {MOST_CLIPS}; choose some by"
                f" --clip NAME, say --clip {files[0].stem}, or `skelab ingest` them and `evaluate`"
            )
        return [_read_recording(file, spec, anatomy_check) for file in files]
    if path.suffix in SUFFIXES:
        if names:
            raise SourceError(f"{path}: holds one clip; --clip is for files that hold several")
        return [_read_recording(path, spec, anatomy_check)]
    if not holds_clips(path):
        raise SourceError(f"{path}: expected {_KINDS}, found another kind of file")
    layout = spec.layout if _is_npz(path) else None
    clips = open_clips(path, layout=layout, anatomy_check=anatomy_check)
    return list(_chosen_clips(clips, spec, names))


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


def _read_recording(path: Path, spec: NetworkSpec, anatomy_check: bool) -> Clip:
    """The clip of a file that holds one recording."""
    if path.suffix == ".skeleton":
        _check(
            path,
            {"joints": _NTU.joints, "axes": _NTU.axes, "units": _METRES},
            {
                "joints": spec.layout.joints,
                "axes": spec.layout.axes,
                "units": spec.inputs.units,
            },
        )
    raw = read_recording(path, spec.layout)
    if anatomy_check and path.suffix != ".skeleton":
        found = check_anatomy([raw], spec.layout, units=spec.inputs.units)
        refuse_if_scrambled(found, path)
    return prepare_clip(raw, spec, str(path), name=path.stem)


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
    rows = [row_named(clips, name) for name in names]
    if not names and len(clips) > MOST_CLIPS:
        raise SourceError(
            f"{clips.path}: holds {len(clips):,} clips, more than {MOST_CLIPS}; choose some by"
            f" --clip NAME, say --clip {clips.index.names[0]}, or use `skelab evaluate`"
        )
    for row in rows or range(len(clips)):
        yield _relabelled(clips.clip(row), clips.info.classes, spec.classes)


def _relabelled(clip: Clip, classes: tuple[str, ...], known: tuple[str, ...]) -> Clip:
    """The clip with its class counted as the network counts; without one that it does not know."""
    label = clip.info.label
    if label is None or classes == known:
        return clip
    name = classes[label] if label < len(classes) else None
    own = known.index(name) if name in known else None
    return replace(clip, info=replace(clip.info, label=own))


def _check(path: Path, found: dict[str, Any], trained: dict[str, Any]) -> None:
    for name, expected in trained.items():
        if found[name] != expected:
            raise DataError(
                f"{path}: the network was trained on {name} {_brief(expected)}, found"
                f" {_brief(found[name])}"
                + (pipeline_remedy(expected) if name == "preprocessing" else "")
            )


def _brief(value: object) -> str:
    if not isinstance(value, tuple):
        return str(value)
    text = ", ".join(map(str, value))
    return f"{len(value)}: {text if len(text) <= 60 else text[:60] + '…'}"


def _is_npz(path: Path) -> bool:
    return path.suffix == ".npz"
