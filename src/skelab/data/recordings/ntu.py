"""NTU RGB+D 60 and 120: a folder of ``.skeleton`` files; ours of ``skelab synth`` too."""

import hashlib
import json
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import ClassVar, Final

from skelab.data.clips.clip import RawClip, SampleInfo
from skelab.data.recordings.base import FolderSource, SourceItem, files_below
from skelab.data.recordings.ntu_actions import NTU60_CLASSES, NTU120_CLASSES
from skelab.data.recordings.sample_name import parse_sample_name
from skelab.data.recordings.skeleton_file import read_skeleton_file
from skelab.errors import DataError, SourceError
from skelab.files.reading import read_whole

SYNTHETIC_MARKER: Final = "SYNTHETIC.json"
"""The file that marks a folder of computed recordings and names their actions."""

_SUFFIX: Final = ".skeleton"


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
        return files_below(path, lambda name: name.endswith(_SUFFIX))

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
