"""Check whether a file may be written: one rule for all commands that write a named file."""

from collections.abc import Iterable
from pathlib import Path

from skelab.errors import OutputError
from skelab.files.atomic import write_error
from skelab.files.kinds import FileKind
from skelab.files.reading import special_kind


def check_output(
    path: Path, kind: FileKind, *, inputs: Iterable[Path] = (), force: bool = False
) -> Path:
    """Refuse an output path that would overwrite something else; called before any work.

    Empty files may be replaced.

    Args:
        path: The file to write.
        kind: What it will be.
        inputs: Input files, none of which may be replaced, not even through
            a link.
        force: Replace a file of the same kind.

    Returns:
        The path.

    Raises:
        OutputError: The name is empty, too long, or ends otherwise than its kind does; there is a
            folder, an input, a file of another kind, or, without ``force``, one of the same kind.
    """
    path = Path(path)
    try:
        _check_name(path, kind)
        special = special_kind(path)
        if special:
            raise OutputError(f"{path}: expected the name of a file, found {special}")
        if not path.exists():
            return path
        for source in inputs:
            if source.exists() and path.samefile(source):
                raise OutputError(f"{path}: is what is being read ({source}); choose another name")
        if path.stat().st_size == 0:
            return path
    except OSError as error:
        raise write_error(path, error) from error
    except ValueError as error:  # a zero byte in the name
        raise OutputError(f"{str(path)!a}: cannot be written: {error}") from None
    if not kind.recognises(path):
        raise OutputError(
            f"{path}: expected {kind.title} or nothing under this name, found a file of another"
            " kind; it was not overwritten: choose another name, or remove it"
        )
    if not force:
        raise OutputError(
            f"{path}: there is {kind.title} of this name already; --force replaces it"
        )
    return path


def _check_name(path: Path, kind: FileKind) -> None:
    if str(path) in ("", "."):
        raise OutputError(f"expected the name of {kind.title} to write, found an empty name")
    if path.is_dir():
        raise OutputError(f"{path}: expected the name of a file, found a folder")
    if path.suffix.lower() not in kind.suffixes:
        raise OutputError(
            f"{path}: expected a name that ends with {' or '.join(kind.suffixes)} for"
            f" {kind.title}, found {path.suffix or 'none of it'!r}"
        )
