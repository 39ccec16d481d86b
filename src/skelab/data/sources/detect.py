"""Which reader fits what lies at a path."""

from pathlib import Path
from typing import Final

from skelab.data.sources.base import FolderSource, Source
from skelab.data.sources.ntu import NtuSource
from skelab.data.sources.nw_ucla import NwUclaSource
from skelab.data.sources.sbu import SbuSource
from skelab.data.sources.utd_mhad import UtdMhadSource
from skelab.errors import SourceError
from skelab.skeleton import Layout, get_layout

_READERS: Final[tuple[type[FolderSource], ...]] = (
    NtuSource,
    UtdMhadSource,
    NwUclaSource,
    SbuSource,
)


def open_source(path: Path, *, layout: Layout | str | None = None) -> Source:
    """The source at ``path``, found out by the files that it holds; reads no recording.

    Args:
        path: A folder, or a folder of one such folder.
        layout: A layout, or its name, to use in place of the data set's own; it must have as many
            joints.

    Raises:
        SourceError: There is no folder, no reader fits, several do, or the layout does not.
        LayoutError: There is no layout of that name.
    """
    path = Path(path)
    chosen = get_layout(layout) if isinstance(layout, str) else layout
    fitting = [reader for reader in _READERS if reader.recognises(path)]
    if len(fitting) > 1:
        titles = " and ".join(reader.title for reader in fitting)
        raise SourceError(f"{path}: expected the files of one data set, found those of {titles}")
    if not fitting:
        wanted = ", ".join(reader.expects for reader in _READERS)
        raise SourceError(
            f"{path}: expected a folder with files such as {wanted}; found {_found(path)}"
        )
    return fitting[0](path, chosen)


def _found(path: Path) -> str:
    """What there is instead, in a few words."""
    if not path.exists():
        return "nothing of that name"
    if not path.is_dir():
        return "a file"
    names = sorted(entry.name for entry in path.iterdir())
    if not names:
        return "an empty folder"
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return f"{', '.join(names[:3])}{more}"
