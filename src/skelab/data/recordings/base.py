"""What a data source offers, and what readers of folders share."""

import hashlib
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import ClassVar, Final, Protocol, runtime_checkable

from skelab.data.clips.clip import RawClip, SampleInfo
from skelab.errors import DataError, SourceError
from skelab.files.reading import read_whole, special_kind
from skelab.skeleton import Layout, get_layout

NOT_A_SAMPLE: Final = "not a sample"
MISSING_FILE: Final = "missing file"
WRONG_LINE: Final = "wrong line"
"""Why something that a source has seen is no sample of it."""


@dataclass(frozen=True)
class SourceItem:
    """One sample of a source: what is known of it, and where its recording lies.

    Attributes:
        info: What the name says of the sample.
        location: Path inside the source, with forward slashes.
    """

    info: SampleInfo
    location: str


@runtime_checkable
class Source(Protocol):
    """A set of recordings that can be listed cheaply and read one by one.

    Sources can be pickled, so that the workers of a process pool can read from them.
    """

    @property
    def kind(self) -> str:
        """What was recognised, say ``"ntu"``, ``"nw-ucla"`` or ``"pyskl"``."""

    @property
    def path(self) -> Path:
        """The path that was opened."""

    @property
    def layout(self) -> Layout:
        """The layout of every recording."""

    @property
    def classes(self) -> tuple[str, ...]:
        """The name of each class, by label."""

    @property
    def synthetic(self) -> bool:
        """True where the recordings were computed, not recorded."""

    @property
    def units(self) -> str:
        """What the coordinates are in: ``"metres"`` or ``"normalised"``."""

    @property
    def rejected(self) -> Sequence[tuple[str, str]]:
        """Names that were seen but are not samples, each with the reason."""

    def items(self) -> Sequence[SourceItem]:
        """The samples, by name; reads no recording."""

    def read(self, item: SourceItem) -> RawClip:
        """The recording of ``item``.

        Raises:
            DataError: The recording is missing or damaged.
        """

    def digest(self) -> str:
        """A cheap fingerprint of the names and sizes of all files, in hexadecimal."""


@runtime_checkable
class TellsCauses(Protocol):
    """A source that lists its samples in a table, so that what is rejected is lost."""

    def cause(self, name: str) -> str:
        """Why a rejected name is no sample: ``missing file`` or ``wrong line``."""


class FolderSource(ABC):
    """A source whose recordings are files below one folder, each named after its sample.

    Args:
        path: The folder.
        layout: A layout to use in place of the data set's own; it must have as many joints.

    Raises:
        SourceError: The layout does not fit the data set.
    """

    kind: ClassVar[str]
    title: ClassVar[str]
    expects: ClassVar[str]
    layout_name: ClassVar[str]
    units: ClassVar[str] = "metres"
    is_file: ClassVar[bool] = False
    """Whether one file holds all recordings, say a zip, in place of a folder."""

    def __init__(self, path: Path, layout: Layout | None = None) -> None:
        usual = get_layout(self.layout_name)
        if layout is not None and layout.num_joints != usual.num_joints:
            raise SourceError(
                f"{path}: {self.title} has {usual.num_joints} joints: expected a layout of as"
                f" many, found {layout.name!r} with {layout.num_joints}; leave the layout out for"
                f" {usual.name!r}"
            )
        self.path = Path(path)
        self.layout = layout or usual

    @classmethod
    def recognises(cls, path: Path) -> bool:
        """Whether ``path`` is a folder that holds at least one file for this reader."""
        return next(iter(cls._files(Path(path))), None) is not None

    @classmethod  # noqa: B027 - most have nothing to refuse
    def refuse_incomplete(cls, path: Path) -> None:
        """Refuse a path that has only a part of this data set, say labels without recordings.

        Asked where no reader recognises the path.

        Raises:
            SourceError: It has; the message says what is missing.
        """

    @property
    @abstractmethod
    def classes(self) -> tuple[str, ...]:
        """The name of each class, by label."""

    @property
    def synthetic(self) -> bool:
        """True where the recordings were computed, not recorded."""
        return False

    @property
    def rejected(self) -> Sequence[tuple[str, str]]:
        """Names that were seen but are not samples, each with the reason."""
        return self._listing[1]

    def items(self) -> Sequence[SourceItem]:
        """The samples, by name; reads no recording."""
        return self._listing[0]

    @abstractmethod
    def read(self, item: SourceItem) -> RawClip:
        """The recording of ``item``."""

    def digest(self) -> str:
        """A cheap fingerprint of the names and sizes of all files, in hexadecimal."""
        fingerprint = hashlib.sha256(self.kind.encode())
        for location in sorted(self._files(self.path)):
            size = (self.path / location).stat().st_size
            fingerprint.update(f"{location}\0{size}\n".encode(errors="surrogateescape"))
        return fingerprint.hexdigest()

    def __getstate__(self) -> dict[str, object]:
        """What is pickled: workers read single items and need no listing."""
        return {"path": self.path, "layout": self.layout}

    @classmethod
    @abstractmethod
    def _files(cls, path: Path) -> Iterable[str]:
        """Location of each file that looks like a recording of this kind."""

    @classmethod
    @abstractmethod
    def _describe(cls, location: str) -> SampleInfo:
        """What the location says of the sample; a DataError where it says nothing."""

    @cached_property
    def _listing(self) -> tuple[tuple[SourceItem, ...], tuple[tuple[str, str], ...]]:
        items: dict[str, SourceItem] = {}
        rejected = []
        for location in sorted(self._files(self.path)):
            try:
                info = self._describe(location)
            except DataError as error:
                rejected.append((location, str(error)))
                continue
            if info.name in items:
                other = items[info.name].location
                rejected.append((location, f"{info.name} was already found as {other}"))
                continue
            items[info.name] = SourceItem(info, location)
        return tuple(items[name] for name in sorted(items)), tuple(rejected)


class HeldInMemory:
    """Mixin of a source that loads its file whole, so that each further process costs as much."""


def files_below(path: Path, wanted: Callable[[str], bool]) -> Iterator[str]:
    """Files of the folder whose name is ``wanted``; of its sub-folders where it has none itself.

    Args:
        path: A folder; anything else has no files.
        wanted: Tells by its name whether a file is of interest.

    Yields:
        The path of each file inside ``path``, with forward slashes, in no particular order.
    """
    found = False
    folders = []
    for entry in _scan(path):
        if entry.is_dir():
            folders.append(entry.name)
        elif wanted(entry.name):
            found = True
            yield entry.name
    if not found:
        for folder in sorted(folders):
            for entry in _scan(path / folder):
                if wanted(entry.name) and entry.is_file():
                    yield f"{folder}/{entry.name}"


def read_bytes(path: Path) -> bytes:
    """The content of a file of a source.

    Raises:
        DataError: The file cannot be read; the message has the system's reason.
    """
    try:
        return read_whole(path)
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}") from error


def refuse_special(path: Path) -> None:
    """Refuse a path that is neither a file nor a folder; to open a pipe would wait for ever.

    Raises:
        SourceError: It is a pipe, a device or a socket, or the system cannot tell what it is.
    """
    try:
        kind = special_kind(path)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise SourceError(f"{str(path)[:80]}: cannot be read: {reason}") from None
    if kind:
        raise SourceError(f"{path}: expected a file or a folder, found {kind}")


def _scan(path: Path) -> Iterator[os.DirEntry[str]]:
    if not path.is_dir():
        return
    try:
        with os.scandir(path) as entries:
            yield from entries
    except OSError as error:
        raise SourceError(f"{path}: cannot be listed: {error.strerror or error}") from error
