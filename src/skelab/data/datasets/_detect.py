"""Which reader fits what lies at a path."""

from collections.abc import Iterable
from pathlib import Path

from skelab.data.datasets._catalogue import list_datasets
from skelab.data.recordings.base import FolderSource, Source, refuse_special
from skelab.data.recordings.custom import CustomSource
from skelab.data.recordings.custom_layout import DATASET_FILE
from skelab.data.recordings.pyskl import PysklSource
from skelab.errors import SourceError
from skelab.files.archives import is_archive, list_members, open_archive
from skelab.skeleton import Layout, get_layout


def open_source(
    path: Path, *, layout: Layout | str | None = None, labels_from: int | None = None
) -> Source:
    """The source at ``path``, found out by the files that it holds; reads no recording.

    Args:
        path: A folder, a folder of one such folder, the zip of NTU RGB+D, or a pickle of PYSKL.
        layout: A layout, or its name, to use in place of the data set's own; it must have as many
            joints.
        labels_from: The number of the first class in a pickle of numbered labels, 0 or 1.

    Raises:
        SourceError: There is nothing, no reader fits, several do, there are labels without
            recordings, or the layout does not fit; or ``labels_from`` is given for another source.
        LayoutError: There is no layout of that name.
    """
    path = Path(path)
    refuse_special(path)
    chosen = get_layout(layout) if isinstance(layout, str) else layout
    if PysklSource.recognises(path):
        return PysklSource(path, chosen, labels_from)
    if labels_from is not None:
        own = CustomSource.recognises(path)
        mends = f"; `labels_from: {labels_from}` in {DATASET_FILE} says it" if own else ""
        raise SourceError(
            f"{path}: expected a pickle or arrays of numbered labels for --labels-from, found"
            f" another source{mends}"
        )
    if CustomSource.recognises(path):
        return CustomSource(path, chosen)
    fitting = [reader for reader in _readers() if reader.recognises(path)]
    if len(fitting) > 1:
        titles = " and ".join(reader.title for reader in fitting)
        raise SourceError(f"{path}: expected the files of one data set, found those of {titles}")
    if not fitting:
        for reader in _readers():
            reader.refuse_incomplete(path)
        folders = [reader.expects for reader in _readers() if not reader.is_file]
        files = [reader.expects for reader in _readers() if reader.is_file]
        wanted = ", ".join([*folders, CustomSource.expects])
        raise SourceError(
            f"{path}: expected a folder with files such as {wanted}; {'; '.join(files)}; or"
            f" {PysklSource.expects}; found {_found(path)}"
        )
    return fitting[0](path, chosen)


def holds_recordings(path: Path) -> bool:
    """Whether a reader fits what lies at ``path``."""
    if CustomSource.recognises(path) or PysklSource.recognises(path):
        return True
    return any(reader.recognises(path) for reader in _readers())


def _readers() -> list[type[FolderSource]]:
    """The readers of all data sets, each once."""
    return list(dict.fromkeys(reader for card in list_datasets() for reader in card.readers))


def _found(path: Path) -> str:
    """What there is instead, in a few words."""
    if not path.exists():
        return "nothing of that name"
    if is_archive(path):
        with open_archive(path) as archive:
            return f"an archive of {_listed(member.filename for member in list_members(archive))}"
    if not path.is_dir():
        return "a file"
    return _listed(entry.name for entry in path.iterdir()) or "an empty folder"


def _listed(names: Iterable[str]) -> str:
    """The first of some names."""
    shown = sorted(names)
    more = f" and {len(shown) - 3} more" if len(shown) > 3 else ""
    return f"{', '.join(shown[:3])}{more}"
