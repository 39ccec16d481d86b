"""Zip archives: list members, locate them in the file, and read them within bounds."""

import lzma
import struct
import zipfile
import zlib
from pathlib import Path
from typing import Final

from skelab.errors import DataError, SourceError
from skelab.files.reading import read_start

_LOCAL_HEADER: Final = struct.Struct("<4s22xHH")
_LOCAL_MAGIC: Final = b"PK\x03\x04"
_ENCRYPTED: Final = 0x1
_MAGICS: Final = (_LOCAL_MAGIC, b"PK\x05\x06")
_JUNK: Final = "__MACOSX"


def is_archive(path: Path) -> bool:
    """Whether a path is a file that begins like a zip archive."""
    return read_start(path, 4) in _MAGICS


def open_archive(path: Path) -> zipfile.ZipFile:
    """Open a zip archive and read its directory.

    Raises:
        SourceError: The file is missing, truncated or not an archive.
    """
    try:
        return zipfile.ZipFile(path)
    except OSError as error:
        raise SourceError(f"{path}: cannot be read: {error.strerror or error}") from None
    except Exception as error:  # zipfile raises several kinds for a damaged directory
        raise SourceError(
            f"{path}: expected a zip archive, found one that is damaged or was cut off"
            f" ({_reason(error)}); copy or download it again"
        ) from None


def list_members(archive: zipfile.ZipFile) -> list[zipfile.ZipInfo]:
    """The files in an archive, without folders and what macOS adds to each."""
    return [
        member
        for member in archive.infolist()
        if not member.filename.endswith("/")
        and _JUNK not in (folders := member.filename.split("/"))
        and not folders[-1].startswith("._")
    ]


def read_member(archive: zipfile.ZipFile, name: str, largest: int) -> bytes:
    """The content of a member.

    Args:
        archive: An open archive.
        name: The member.
        largest: Maximum size in bytes, so that a forged archive cannot exhaust memory.

    Raises:
        DataError: There is no such member, or it is larger, encrypted, damaged, or compressed in
            a way that Python cannot read.
    """
    where = f"{archive.filename}: {name}"
    try:
        member = archive.getinfo(name)
        if member.flag_bits & _ENCRYPTED:
            raise DataError(f"{where}: expected a plain member, found an encrypted one; unpack it")
        if member.file_size > largest:
            raise DataError(
                f"{where}: expected at most {largest:,} bytes, found {member.file_size:,}"
            )
        with archive.open(member) as file:
            return file.read()
    except KeyError:
        raise DataError(f"{where}: expected a member of that name, found none") from None
    except (
        *(zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, OSError),
        *(NotImplementedError, RuntimeError, ValueError, struct.error),
    ) as error:
        raise DataError(
            f"{where}: the member is damaged or cannot be unpacked ({_reason(error)}); copy or"
            " download the archive again"
        ) from None


def locate_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> int:
    """The offset of a member's data in the archive.

    The list of members says where a member's own header stands, which may be behind 4 GiB; that
    header says how long it is.

    Raises:
        SourceError: There is no such header, or the member reaches behind the end of the file.
    """
    path = Path(str(archive.filename))
    where = f"{path}: {member.filename}"
    if member.flag_bits & _ENCRYPTED:
        raise SourceError(f"{where}: expected a plain member, found an encrypted one; unpack it")
    try:
        with path.open("rb") as file:
            file.seek(member.header_offset)
            magic, name, extra = _LOCAL_HEADER.unpack(file.read(_LOCAL_HEADER.size))
    except (OSError, ValueError, struct.error):
        magic, name, extra = b"", 0, 0
    start: int = member.header_offset + _LOCAL_HEADER.size + name + extra
    if magic != _LOCAL_MAGIC or start + member.compress_size > path.stat().st_size:
        raise SourceError(
            f"{where}: expected the member at byte {member.header_offset:,}, found none: the"
            " archive is damaged; copy or download it again"
        )
    return start


def _reason(error: Exception) -> str:
    return " ".join(str(error).split())[:120] or type(error).__name__
