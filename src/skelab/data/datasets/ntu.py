"""NTU RGB+D 60 and 120: ``.skeleton`` files in a folder or a zip; ours of ``skelab synth`` too."""

import hashlib
import json
import os
import re
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import ClassVar, Final

from skelab.data.clips.clip import RawClip, SampleInfo
from skelab.data.clips.splits import Split
from skelab.data.recordings.base import FolderSource, SourceItem, files_below
from skelab.data.recordings.card import DatasetCard
from skelab.data.recordings.ntu_actions import NTU60_CLASSES, NTU120_CLASSES
from skelab.data.recordings.sample_name import parse_sample_name
from skelab.data.recordings.skeleton_file import parse_skeleton, read_skeleton_file
from skelab.errors import DataError, SkeletonFileError, SourceError
from skelab.files.archives import is_archive, list_members, open_archive, read_member
from skelab.files.reading import read_whole

SYNTHETIC_MARKER: Final = "SYNTHETIC.json"
"""The file that marks a folder of computed recordings and names their actions."""

_SUFFIX: Final = ".skeleton"
_PKU_NAME: Final = re.compile(r"\d{4}-[LMR]\.skeleton", re.ASCII)
_LARGEST: Final = 1 << 26  # bytes of a recording; the longest of NTU RGB+D has about 2 MB


class NtuSource(FolderSource):
    """A folder of NTU RGB+D ``.skeleton`` files, or a folder of such folders.

    Coordinates are metres in the frame of the Kinect v2; bodies as tracked, none chosen.

    Source: Shahroudy et al., CVPR 2016; Liu et al., TPAMI 2019.
    """

    kind: ClassVar[str] = "ntu"
    title: ClassVar[str] = "NTU RGB+D"
    expects: ClassVar[str] = "S001C001P001R001A001.skeleton (NTU RGB+D)"
    layout_name: ClassVar[str] = "ntu25"

    @property
    def classes(self) -> tuple[str, ...]:
        """The actions by label: of NTU 60 if they are enough, otherwise of NTU 120.

        A synthetic folder has only the actions that its marker or its files name, by number.

        Raises:
            SourceError: The marker of a synthetic folder is damaged.
        """
        if self._synthetic_actions is not None:
            return tuple(
                self._synthetic_actions.get(number, f"A{number:03d}")
                for number in self._synthetic_numbers
            )
        needed = 1 + max((item.info.label or 0 for item in self.items()), default=0)
        return NTU60_CLASSES if needed <= len(NTU60_CLASSES) else NTU120_CLASSES

    def items(self) -> Sequence[SourceItem]:
        """The samples, by name; reads no recording."""
        items = super().items()
        if self._synthetic_actions is None:
            return items
        labels = {number: label for label, number in enumerate(self._synthetic_numbers)}
        return [
            replace(item, info=replace(item.info, label=labels[_action(item)])) for item in items
        ]

    @property
    def synthetic(self) -> bool:
        """True where the folder has a marker that says so."""
        return self._synthetic_actions is not None

    def read(self, item: SourceItem) -> RawClip:
        """The recording of ``item``, every tracked body.

        Raises:
            SkeletonFileError: The file is missing or damaged; the message names file and line.
        """
        return read_skeleton_file(self.path / item.location)

    def texts(self, items: Sequence[SourceItem]) -> Sequence[str | bytes | None]:
        """Where the text of each recording is: the path of a file, or what it holds.

        None where it cannot be had; :meth:`read` says why.
        """
        folder = os.fspath(self.path)
        paths = [f"{folder}{os.sep}{item.location}" for item in items]
        return [path if Path(path).is_file() else None for path in paths]

    def digest(self) -> str:
        """A cheap fingerprint of the names and sizes of all files, in hexadecimal.

        The same as of any folder, but the files were listed already: there are 114,480 of them.
        """
        locations = [item.location for item in super().items()]
        locations += [location for location, _ in self.rejected]
        folder = os.fspath(self.path)
        fingerprint = hashlib.sha256(self.kind.encode())
        for location in sorted(locations):
            size = os.stat(f"{folder}{os.sep}{location}").st_size  # noqa: PTH116, twice as quick
            fingerprint.update(f"{location}\0{size}\n".encode(errors="surrogateescape"))
        return fingerprint.hexdigest()

    @classmethod
    def _files(cls, path: Path) -> Iterable[str]:
        return files_below(path, lambda name: name.endswith(_SUFFIX) and not _is_of_pku(name))

    @classmethod
    def _describe(cls, location: str) -> SampleInfo:
        info = parse_sample_name(location.rpartition("/")[2].removesuffix(_SUFFIX))
        if info.label is None or info.label >= len(NTU120_CLASSES):
            raise DataError(
                f"{info.name}: expected an action from 1 to {len(NTU120_CLASSES)}, found"
                f" {info.name[-3:]}"
            )
        return info

    @cached_property
    def _synthetic_numbers(self) -> tuple[int, ...]:
        """The action numbers of a synthetic folder; their order gives the labels."""
        named = set(self._synthetic_actions or ())
        return tuple(sorted(named | {_action(item) for item in super().items()}))

    @cached_property
    def _synthetic_actions(self) -> Mapping[int, str] | None:
        """Names by action number where the folder is synthetic."""
        marker = self._marker()
        return None if marker is None else _read_marker(*marker)

    def _marker(self) -> tuple[str, bytes] | None:
        """Place and content of the marker of a synthetic folder, where there is one."""
        for location in files_below(self.path, lambda name: name == SYNTHETIC_MARKER):
            path = self.path / location
            try:
                return str(path), read_whole(path)
            except OSError as error:
                raise SourceError(f"{path}: cannot be read: {error.strerror}") from None
        return None


class NtuZipSource(NtuSource):
    """An archive of NTU RGB+D ``.skeleton`` files, in whatever folders inside.

    Members are read one by one where they lie; each process opens the archive for itself. What
    macOS adds to an archive is passed over.
    """

    kind: ClassVar[str] = "ntu"
    title: ClassVar[str] = "NTU RGB+D (zip)"
    expects: ClassVar[str] = "a zip of .skeleton files"
    is_file: ClassVar[bool] = True

    @classmethod
    def recognises(cls, path: Path) -> bool:
        """Whether ``path`` is an archive with at least one ``.skeleton`` file."""
        if not is_archive(path):
            return False
        try:
            return super().recognises(path)
        except SourceError:
            return False

    def read(self, item: SourceItem) -> RawClip:
        """The recording of ``item``, every tracked body.

        Raises:
            SkeletonFileError: The member is missing, encrypted, damaged or larger than any
                recording, or a line of it is malformed; the message names member and line.
        """
        try:
            data = read_member(self._archive, item.location, _LARGEST)
        except DataError as error:
            raise SkeletonFileError(str(error)) from None
        return parse_skeleton(data, f"{self.path}: {item.location}")

    def texts(self, items: Sequence[SourceItem]) -> Sequence[str | bytes | None]:
        """What each member holds; None where it cannot be read, :meth:`read` says why."""
        return [self._text(item) for item in items]

    def _text(self, item: SourceItem) -> bytes | None:
        try:
            return read_member(self._archive, item.location, _LARGEST)
        except DataError:
            return None

    def digest(self) -> str:
        """A cheap fingerprint of the names, sizes and checksums of all members, in hexadecimal."""
        fingerprint = hashlib.sha256(self.kind.encode())
        for member in sorted(list_members(self._archive), key=lambda member: member.filename):
            if member.filename.endswith(_SUFFIX):
                text = f"{member.filename}\0{member.file_size}\0{member.CRC}\n"
                fingerprint.update(text.encode(errors="surrogateescape"))
        return fingerprint.hexdigest()

    @classmethod
    def _files(cls, path: Path) -> Iterable[str]:
        with open_archive(path) as archive:
            names = [member.filename for member in list_members(archive)]
        return list(dict.fromkeys(name for name in names if name.endswith(_SUFFIX)))

    def _marker(self) -> tuple[str, bytes] | None:
        for member in list_members(self._archive):
            if member.filename.rpartition("/")[2] == SYNTHETIC_MARKER:
                try:
                    content = read_member(self._archive, member.filename, _LARGEST)
                except DataError as error:
                    raise SourceError(str(error)) from None
                return f"{self.path}: {member.filename}", content
        return None

    @cached_property
    def _archive(self) -> zipfile.ZipFile:
        return open_archive(self.path)


def _is_of_pku(name: str) -> bool:
    """Whether a file is named as those of PKU-MMD, which have the same ending: ``0002-L``."""
    return name[4:5] == "-" and _PKU_NAME.fullmatch(name) is not None


def _action(item: SourceItem) -> int:
    """The action number in a sample's name."""
    return int(item.info.name[-3:])


def _read_marker(where: str, data: bytes) -> dict[int, str]:
    """The names in a marker; pairs that are no action number and name are passed over."""
    try:
        content = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise SourceError(
            f"{where}: expected json with the actions of a synthetic data set, found a file that"
            f" cannot be read: {error}"
        ) from error
    actions = content.get("actions") if isinstance(content, dict) else None
    names = {}
    for pair in actions if isinstance(actions, list) else ():
        if isinstance(pair, list) and len(pair) == 2:
            number = re.fullmatch(r"A?(\d{1,3})", str(pair[0]), re.ASCII)
            if number and 1 <= int(number[1]) <= len(NTU120_CLASSES):
                names[int(number[1])] = str(pair[1])
    return names


_XSUB_TRAIN: Final = frozenset(
    [
        *[1, 2, 4, 5, 8, 9, 13, 14, 15, 16, 17, 18, 19, 25, 27, 28, 31, 34, 35, 38],
        *[45, 46, 47, 49, 50, 52, 53, 54, 55, 56, 57, 58, 59, 70, 74, 78, 80, 81, 82, 83],
        *[84, 85, 86, 89, 91, 92, 93, 94, 95, 97, 98, 100, 103],
    ]
)
"""NTU 60's twenty training subjects, and those that NTU 120 adds (all above 40)."""

_PAPERS: Final = "Shahroudy et al., CVPR 2016; Liu et al., TPAMI 2019"
_XSUB: Final = Split(
    "xsub", "subject", _XSUB_TRAIN, frozenset(range(1, 107)) - _XSUB_TRAIN, _PAPERS
)
_XVIEW: Final = Split("xview", "camera", frozenset({2, 3}), frozenset({1}), _PAPERS)
_XSET: Final = Split(
    "xset", "setup", frozenset(range(2, 33, 2)), frozenset(range(1, 33, 2)), _PAPERS
)
_NTU60: Final = DatasetCard(
    name="ntu60",
    title="NTU RGB+D 60",
    kind=NtuSource.kind,
    paper="Shahroudy et al., CVPR 2016",
    home="https://rose1.ntu.edu.sg/dataset/actionRecognition/",
    licence="academic research only, on request; may not be passed on",
    layout=NtuSource.layout_name,
    classes=NTU60_CLASSES,
    bodies=2,
    recorded=56_880,
    missing=302,
    splits=(_XSUB, _XVIEW),
    counts={"xsub": (40_091, 16_487), "xview": (37_646, 18_932)},
    readers=(NtuSource, NtuZipSource),
    also_as=("npz", "npy-pkl", "pyskl"),
)

CARDS: Final = (
    _NTU60,
    replace(
        _NTU60,
        name="ntu120",
        title="NTU RGB+D 120",
        paper="Liu et al., TPAMI 2019",
        classes=NTU120_CLASSES,
        recorded=114_480,
        missing=535,
        splits=(_XSUB, _XSET),
        counts={"xsub": (63_026, 50_919), "xset": (54_468, 59_477)},
    ),
)
"""NTU RGB+D 60 and 120. The counts are published or follow from the names of all samples."""
