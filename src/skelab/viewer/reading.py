"""Reads scenes from files: recordings with their preprocessed clips, or stored clips."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from jaxtyping import Shaped
from numpy import ndarray

from skelab.data.clips.clip import Clip, RawClip, SampleInfo
from skelab.data.datasets import holds_recordings, open_source
from skelab.data.datasets.ntu import SYNTHETIC_MARKER, NtuSource
from skelab.data.opened import check_name, holds_clips, open_clips, row_named
from skelab.data.preprocessing import choose_pipeline
from skelab.data.recordings.ntu_actions import NTU120_CLASSES
from skelab.data.recordings.one_file import SUFFIXES, read_array, recording_of_array
from skelab.data.recordings.sample_name import parse_sample_name
from skelab.data.recordings.skeleton_file import read_skeleton_file
from skelab.errors import DataError, LayoutError, SourceError
from skelab.skeleton import Layout, get_layout, list_layouts
from skelab.viewer.scene import METRES, Scene, scene_of

_KINDS: Final = (
    ".skeleton, .npy (T V C or M T V C), a clip store, .npz or .pkl of others, or a folder of"
    " recordings"
)
_NTU: Final = "ntu25"


@dataclass(frozen=True)
class Shown:
    """A clip opened for viewing.

    Attributes:
        scene: Its scene.
        clip: The preprocessed clip.
        pipeline: Its preprocessing; empty if unknown.
    """

    scene: Scene
    clip: Clip
    pipeline: str = ""


def open_clip(
    source: Path | str | Clip | RawClip | Shaped[ndarray, " ..."],
    *,
    name: str | None = None,
    layout: Layout | str | None = None,
    pipeline: str | None = None,
) -> Shown:
    """Open a clip for viewing from any kind of file.

    Args:
        source: A file, a store, a folder of recordings, a clip, a recording, or an array of
            coordinates as recorded, T V C or M T V C.
        name: Name of the clip; needed if there are several.
        layout: The joints, if the source does not define them; by default from their number.
        pipeline: Preprocessing of a recording; by default that of ``skelab ingest``.

    Raises:
        DataError: The source cannot be read, holds several clips and none was named, or nobody is
            in it.
        LayoutError: The layout is unknown, or several have so many joints and none was named.
    """
    chosen = get_layout(layout) if isinstance(layout, str) else layout
    if isinstance(source, str | Path):
        return _open_path(Path(source), name, chosen, pipeline)
    if isinstance(source, Clip):
        fitting = chosen or layout_of(*source.joints.shape[2:], where=source.info.name)
        scene = scene_of(source.info.name, fitting, clip=source, pipeline=pipeline or "")
        return Shown(scene, source, pipeline or "")
    where = name or "clip"
    if isinstance(source, RawClip):
        sizes = {track.joints.shape[1:] for track in source.bodies.values()} or {(0, 0)}
        fitting = chosen or layout_of(*sizes.pop(), where=where)
        return _prepared(source, SampleInfo(where), fitting, pipeline, where=where)
    fitting = chosen or _layout_of_array(source, where)
    raw = recording_of_array(source, fitting, where)
    return _prepared(raw, SampleInfo(where), fitting, pipeline, where=where)


def layout_of(num_joints: int, num_axes: int, *, where: str) -> Layout:
    """The only layout with this number of joints and axes.

    Raises:
        LayoutError: There is none, or several; the message lists them.
    """
    fitting = [
        layout
        for layout in list_layouts()
        if (layout.num_joints, len(layout.axes)) == (num_joints, num_axes)
    ]
    if len(fitting) == 1:
        return fitting[0]
    names = [layout.name for layout in fitting or list_layouts()]
    found = f"{num_joints} joints with {num_axes} values"
    said = f"{found} are those of several layouts" if fitting else f"no layout has {found}"
    raise LayoutError(f"{where}: {said}; name one of {', '.join(names)} by --layout NAME")


def _open_path(path: Path, name: str | None, layout: Layout | None, pipeline: str | None) -> Shown:
    if not path.exists():
        raise SourceError(f"{path}: there is no such file; expected {_KINDS}")
    if holds_clips(path):
        return _open_prepared(path, name, layout, pipeline)
    if path.suffix in SUFFIXES and path.is_file():
        return _open_recording(path, name, layout, pipeline)
    if path.is_dir() and holds_recordings(path):
        return _open_source(path, name, layout, pipeline)
    raise SourceError(f"{path}: expected {_KINDS}, found something else")


def _open_recording(
    path: Path, name: str | None, layout: Layout | None, pipeline: str | None
) -> Shown:
    if name is not None:
        raise SourceError(f"{path}: holds one clip; --clip is for files that hold several")
    own = get_layout(_NTU)
    if path.suffix == ".skeleton":
        if layout is not None and layout.joints != own.joints:
            raise LayoutError(
                f"{path}: expected the joints of {layout.name}, found those of {own.name}"
            )
        raw, fitting = read_skeleton_file(path), own
    else:
        joints = read_array(path)
        fitting = layout or _layout_of_array(joints, str(path))
        raw = recording_of_array(joints, fitting, str(path))
    shown = _prepared(raw, SampleInfo(path.stem), fitting, pipeline, where=str(path))
    label, synthetic = _said_by_name(path)
    return replace(shown, scene=replace(shown.scene, label=label, synthetic=synthetic))


def _said_by_name(path: Path) -> tuple[str, bool]:
    """The class in the name of an NTU file, and whether its folder is synthetic."""
    if (path.parent / SYNTHETIC_MARKER).is_file():
        folder = NtuSource(path.parent)
        labels = {item.info.name: item.info.label for item in folder.items()}
        return _class_name(labels.get(path.stem), folder.classes), True
    try:
        return _class_name(parse_sample_name(path.stem).label, NTU120_CLASSES), False
    except DataError:
        return "", False


def _open_source(
    path: Path, name: str | None, layout: Layout | None, pipeline: str | None
) -> Shown:
    source = open_source(path, layout=layout)
    items = {item.info.name: item for item in source.items()}
    item = items[_choose(path, name, list(items))]
    shown = _prepared(
        source.read(item),
        item.info,
        source.layout,
        pipeline,
        where=f"{path}: {item.info.name}",
        units=source.units,
    )
    label = _class_name(item.info.label, source.classes)
    return replace(shown, scene=replace(shown.scene, label=label, synthetic=source.synthetic))


def _open_prepared(
    path: Path, name: str | None, layout: Layout | None, pipeline: str | None
) -> Shown:
    clips = open_clips(path, layout=layout)
    info = clips.info
    if pipeline not in (None, info.pipeline):
        raise DataError(
            f"{path}: expected clips preprocessed by {pipeline}, found {info.pipeline}; only"
            " recordings can be preprocessed anew"
        )
    if name is None and len(clips) > 1:
        _choose(path, name, clips.index.names)
    clip = clips.clip(0 if name is None else row_named(clips, name))
    scene = scene_of(
        clip.info.name, info.layout, clip=clip, pipeline=info.pipeline, units=info.units
    )
    label = _class_name(clip.info.label, info.classes)
    scene = replace(scene, label=label, synthetic=info.synthetic)
    return Shown(scene, clip, info.pipeline)


def _prepared(
    raw: RawClip,
    info: SampleInfo,
    layout: Layout,
    pipeline: str | None,
    *,
    where: str,
    units: str = METRES,
) -> Shown:
    """A recording beside its preprocessed clip."""
    chosen = choose_pipeline(pipeline, layout)
    try:
        clip = chosen.prepare(raw, layout, info)
    except (DataError, LayoutError) as error:
        raise type(error)(f"{where}: {error}") from None
    scene = scene_of(info.name, layout, clip=clip, raw=raw, pipeline=chosen.name, units=units)
    return Shown(scene, clip, chosen.name)


def _choose(path: Path, name: str | None, names: Sequence[str]) -> str:
    """The named clip, or the only one."""
    if name is None and len(names) == 1:
        return names[0]
    if name is None:
        raise SourceError(
            f"{path}: holds {len(names):,} clips; choose one by --clip NAME, say --clip {names[0]}"
        )
    check_name(path, name, names)
    return name


def _layout_of_array(joints: Shaped[ndarray, " ..."], where: str) -> Layout:
    if joints.ndim == 2:
        raise LayoutError(
            f"{where}: which joints a line holds is not known; name them by --layout NAME"
        )
    if joints.ndim not in (3, 4):
        raise DataError(
            f"{where}: expected frames x joints x values, or several bodies of that, found the"
            f" shape {' x '.join(map(str, joints.shape)) or 'of a single number'}"
        )
    return layout_of(*joints.shape[-2:], where=where)


def _class_name(label: int | None, classes: Sequence[str]) -> str:
    return classes[label] if label is not None and 0 <= label < len(classes) else ""
