"""NTU RGB+D as it is downloaded: the zip of ``.skeleton`` files, read without unpacking."""

import hashlib
import zipfile
from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import ClassVar, Final

from skelab.data.clips.clip import RawClip
from skelab.data.recordings.base import SourceItem
from skelab.data.recordings.ntu import SYNTHETIC_MARKER, NtuSource
from skelab.data.recordings.skeleton_file import parse_skeleton
from skelab.errors import DataError, SkeletonFileError, SourceError
from skelab.files.archives import is_archive, list_members, open_archive, read_member

_SUFFIX: Final = ".skeleton"
_LARGEST: Final = 1 << 26  # bytes of a recording; the longest of NTU RGB+D has about 2 MB


class NtuZipSource(NtuSource):
    """An archive of NTU RGB+D ``.skeleton`` files, in whatever folders inside.

    Members are read one by one where they lie; each process opens the archive for itself. What
    macOS adds to an archive is passed over.
    """

    kind: ClassVar[str] = "ntu"
    title: ClassVar[str] = "NTU RGB+D (zip)"

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
