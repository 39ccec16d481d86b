"""Videos, and the landmarks that were found in them, as a source of recordings.

A folder of videos may have one folder for each class, named after it. Videos that are called as NTU
RGB+D's are (``S001C001P001R001A001_rgb.avi``) say their class, performer and camera themselves.
"""

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import ClassVar, Final

from skelab.data.clips.clip import RawClip, SampleInfo
from skelab.data.recordings.base import SourceItem
from skelab.data.recordings.ntu_actions import NTU60_CLASSES, NTU120_CLASSES
from skelab.data.recordings.sample_name import parse_sample_name
from skelab.errors import DataError, LayoutError, SourceError
from skelab.host.video import VIDEO_SUFFIXES
from skelab.pose.joint_maps import MAPPED_LAYOUTS, to_recording
from skelab.pose.landmarks import SUFFIX, is_landmark_file, read_landmarks
from skelab.skeleton import Layout, get_layout

VIDEO_KIND: Final = "video"
"""What a store says in ``dataset`` where its poses were estimated in videos."""

_COLOUR: Final = "_rgb"  # what NTU RGB+D adds to the name of a sample


def is_video(path: Path) -> bool:
    """Whether a file is called as a video is."""
    return path.suffix.lower() in VIDEO_SUFFIXES and not path.is_dir()


def list_videos(path: Path) -> list[str]:
    """The videos of a folder, or of its folders; of a file itself. Paths inside, in order."""
    if path.is_file():
        return [path.name] if is_video(path) else []
    return sorted(_below(path, VIDEO_SUFFIXES))


def holds_videos(path: Path) -> bool:
    """Whether a path is a video, or a folder with one."""
    return bool(list_videos(path))


def holds_landmarks(path: Path) -> bool:
    """Whether a path is a folder with files of landmarks."""
    return path.is_dir() and next(_below(path, (SUFFIX,)), None) is not None


def landmark_place(video: str) -> str:
    """Where the landmarks of a video are kept inside the folder of landmarks."""
    return f"{video}{SUFFIX}"


class LandmarkSource:
    """A folder of landmarks, as ``skelab ingest VIDEOS`` leaves it beside its store.

    Args:
        path: The folder.
        layout: The joints of the recordings: ``ntu25``, ``kinect20`` or ``coco17``; None takes
            ``ntu25``.
        failed: Of each video in which nothing could be looked for, the reason.

    Raises:
        LayoutError: Landmarks are not mapped to that layout.
    """

    kind: ClassVar[str] = VIDEO_KIND
    title: ClassVar[str] = "poses in videos"

    def __init__(
        self, path: Path, layout: Layout | None = None, failed: Mapping[str, str] | None = None
    ) -> None:
        self.path = Path(path)
        self.layout = layout or get_layout(MAPPED_LAYOUTS[0])
        self._failed = dict(failed or {})
        if self.layout.name not in MAPPED_LAYOUTS:
            raise LayoutError(
                f"{path}: poses of videos can be mapped to {', '.join(MAPPED_LAYOUTS)}, found"
                f" --layout {self.layout.name}"
            )

    @property
    def classes(self) -> tuple[str, ...]:
        """The folders' names, in order; the actions of NTU RGB+D where videos are named so."""
        return self._listing[2]

    @property
    def synthetic(self) -> bool:
        """False: somebody was filmed."""
        return False

    @property
    def units(self) -> str:
        """Metres; pixels where poses are those of the picture."""
        return "metres" if self.layout.axes == ("x", "y", "z") else "pixels"

    @property
    def rejected(self) -> Sequence[tuple[str, str]]:
        """Videos that give no recording, each with the reason."""
        return self._listing[1]

    def cause(self, name: str) -> str:
        """Why something that was seen is no sample."""
        return "damaged" if name in self._failed else "not a sample"

    def items(self) -> Sequence[SourceItem]:
        """One sample for each video; reads no landmarks."""
        return self._listing[0]

    def read(self, item: SourceItem) -> RawClip:
        """The people of a video in this layout.

        Raises:
            DataError: The landmarks are missing or damaged.
        """
        return to_recording(read_landmarks(self.path / item.location), self.layout)

    def digest(self) -> str:
        """A cheap fingerprint of the names and sizes of all files, in hexadecimal."""
        fingerprint = hashlib.sha256(self.kind.encode())
        for location in sorted(_below(self.path, (SUFFIX,))):
            size = (self.path / location).stat().st_size
            fingerprint.update(f"{location}\0{size}\n".encode(errors="surrogateescape"))
        return fingerprint.hexdigest()

    @cached_property
    def _listing(
        self,
    ) -> tuple[tuple[SourceItem, ...], tuple[tuple[str, str], ...], tuple[str, ...]]:
        rejected = list(self._failed.items())
        locations = []
        for location in sorted(_below(self.path, (SUFFIX,))):
            if is_landmark_file(self.path / location):
                locations.append(location)
            else:
                rejected.append((location, f"{location}: expected landmarks, found another file"))
        infos, classes = describe_samples([each.removesuffix(SUFFIX) for each in locations])
        items = {}
        for info, location in zip(infos, locations, strict=True):
            if info.name in items:
                rejected.append((location, f"{info.name} was already found"))
                continue
            items[info.name] = SourceItem(info, location)
        return tuple(items[name] for name in sorted(items)), tuple(rejected), classes


def describe_samples(videos: Sequence[str]) -> tuple[list[SampleInfo], tuple[str, ...]]:
    """What the places of videos say of the samples, and the names of the classes.

    Args:
        videos: Paths inside the folder.
    """
    named = [_as_ntu(video) for video in videos]
    known = [info for info in named if info is not None]
    if videos and len(known) == len(videos):
        most = max(info.label or 0 for info in known)
        if most < len(NTU120_CLASSES):
            return known, NTU60_CLASSES if most < len(NTU60_CLASSES) else NTU120_CLASSES
    folders = sorted({video.rpartition("/")[0] for video in videos if "/" in video})
    infos = []
    for video in videos:
        folder, _, name = video.rpartition("/")
        stem = Path(name).stem
        label = folders.index(folder) if folder else None
        infos.append(SampleInfo(f"{folder}_{stem}" if folder else stem, label=label))
    return infos, tuple(folders)


def _as_ntu(video: str) -> SampleInfo | None:
    """What a name of NTU RGB+D says; None for other names."""
    try:
        return parse_sample_name(Path(video).stem.removesuffix(_COLOUR))
    except DataError:
        return None


def _below(path: Path, suffixes: Sequence[str]) -> Iterator[str]:
    """Files with one of some endings in a folder, and in its folders."""
    if not path.is_dir():
        return
    try:
        for entry in sorted(os.scandir(path), key=lambda each: each.name):
            if entry.is_dir():
                for inner in sorted(os.scandir(entry.path), key=lambda each: each.name):
                    if _is_wanted(inner, suffixes):
                        yield f"{entry.name}/{inner.name}"
            elif _is_wanted(entry, suffixes):
                yield entry.name
    except OSError as error:
        raise SourceError(f"{path}: cannot be listed: {error.strerror or error}") from error


def _is_wanted(entry: "os.DirEntry[str]", suffixes: Sequence[str]) -> bool:
    return entry.name.lower().endswith(tuple(suffixes)) and entry.is_file()
