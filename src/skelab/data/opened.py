"""Clips that are ready for a network, wherever they lie: a store, or what others have prepared."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np
from jaxtyping import Int64
from numpy import ndarray

from skelab.data.audit.anatomy import SAMPLED, check_clips, refuse_if_scrambled
from skelab.data.clips.clip import Clip
from skelab.data.clips.opened_clips import OpenedClips
from skelab.data.clips.store import ClipStore, Excluded, open_store
from skelab.data.datasets import holds_recordings
from skelab.data.foreign import (
    NpzClips,
    PreparedClips,
    is_npy_pkl,
    is_npz,
    open_npy_pkl,
    open_npz,
    read_samples,
    rebuild_names,
)
from skelab.data.foreign.clips import digest_of
from skelab.data.recordings.base import refuse_special
from skelab.errors import DataError, SourceError, unknown_name
from skelab.files.reading import read_start
from skelab.skeleton import Layout, get_layout

_ARROW = b"ARROW1"

MOST_NAMED: Final = 100
"""Clips of one file that a message lists, and that a command takes without being told which."""


def holds_clips(path: Path) -> bool:
    """Whether a path holds clips that are prepared already, and not recordings."""
    return is_store(path) or is_npz(path) or is_npy_pkl(path)


def open_clips(
    path: Path,
    *,
    names: Path | None = None,
    ignore: Sequence[str] = (),
    layout: Layout | str | None = None,
    labels_from: int | None = None,
    anatomy_check: bool = True,
    on_note: Callable[[str], None] | None = None,
) -> OpenedClips:
    """Open prepared clips in place: a clip store, CTR-GCN's npz, or MS-G3D's npy and pkl.

    Args:
        path: What to open; its kind is found out by content.
        names: For an npz, whose rows carry no names: a list of all samples, or the ``.skeleton``
            files. The rows are named if one of the authors' orders agrees with every label;
            otherwise they stay without names.
        ignore: Names of samples to leave out, say the authors' list of missing samples.
        layout: A layout, or its name, where the usual one is not meant.
        labels_from: The number of the first class, for arrays whose labels are counted from 1.
        anatomy_check: Refuse arrays whose joints are scrambled, by their first clips; a store was
            checked when it was made.
        on_note: Told, in one line each, what was found out on the way.

    Raises:
        StoreError: A clip store is damaged.
        SourceError: There is something else, it is damaged, or its joints are scrambled;
            recordings are to be ingested.
        LayoutError: There is no layout of that name.
    """
    path = Path(path)
    refuse_special(path)
    chosen = get_layout(layout) if isinstance(layout, str) else layout
    clips: OpenedClips
    if is_npz(path):
        opened = open_npz(path, layout=chosen, labels_from=labels_from)
        clips = _with_names(opened, names, ignore, on_note) if names else opened
        names = None
    elif is_npy_pkl(path):
        clips = open_npy_pkl(path, layout=chosen, labels_from=labels_from)
    else:
        if holds_recordings(path):
            raise SourceError(
                f"{path}: expected clips that are prepared, found recordings;"
                f" `skelab ingest {path} STORE` makes a clip store of them"
            )
        if labels_from is not None:
            raise SourceError(
                f"{path}: expected arrays of numbered labels for --labels-from, found a store,"
                " whose labels are indices of its classes"
            )
        clips = open_store(path)
    if names:
        raise SourceError(f"{path}: expected rows without names for --names, found rows with names")
    if anatomy_check and not isinstance(clips, ClipStore):
        refuse_if_scrambled(check_clips(clips, range(min(len(clips), SAMPLED))), path)
    known = clips.index.rows_by_name
    left_out = [name for name in dict.fromkeys(ignore) if name in known]
    return SomeClips(clips, left_out) if left_out else clips


def describe_format(clips: OpenedClips) -> str:
    """What was opened, in a few words."""
    if isinstance(clips, SomeClips):
        return describe_format(clips.whole)
    return clips.form if isinstance(clips, PreparedClips) else "clip store"


def check_trimmed(clips: OpenedClips) -> None:
    """Refuse sequences where clips of one action each are needed.

    Raises:
        DataError: There is one; the message names the command that cuts them.
    """
    count = int(clips.index.untrimmed.sum())
    if count:
        raise DataError(
            f"{clips.path}: expected clips of one action each, found {count:,} sequences of"
            f" several; `skelab convert {clips.path} CLIPS --to clips` cuts a clip from each"
            " segment"
        )


def row_named(clips: OpenedClips, name: str) -> int:
    """The row of the clip called ``name``.

    Raises:
        SourceError: There is none; the message lists the names where they are few.
    """
    check_name(clips.path, name, clips.index.names)
    return clips.index.rows_by_name[name]


def check_name(path: Path, name: str, names: Sequence[str]) -> None:
    """Refuse a name that no clip has.

    Args:
        path: What holds the clips.
        name: The name.
        names: Names of all clips.

    Raises:
        SourceError: It is not among them; the message lists them where they are few.
    """
    if name in names:
        return
    if len(names) <= MOST_NAMED:
        raise SourceError(f"{path}: {unknown_name('clip', name, names)}")
    raise SourceError(
        f"{path}: there is no clip {name!r} among {len(names):,}, from {names[0]} to {names[-1]}"
    )


class SomeClips:
    """Opened clips without some of them.

    Attributes:
        path: What was opened.
        whole: All clips.
        info: Their description, which names what was left out.
        index: The clips that are left.
    """

    def __init__(self, clips: OpenedClips, left_out: Sequence[str]) -> None:
        unwanted = set(left_out)
        names = clips.index.names
        self.whole = clips
        self._rows = np.array([row for row, name in enumerate(names) if name not in unwanted], int)
        if not len(self._rows):
            raise SourceError(f"{clips.path}: no clip is left; all stand in the list to ignore")
        self.path = clips.path
        self.index = clips.index.select(self._rows)
        ignored = tuple(
            Excluded(name, "ignored", f"{name}: stands in the list to ignore") for name in left_out
        )
        self.info = replace(
            clips.info,
            excluded=(*clips.info.excluded, *ignored),
            digest=digest_of(clips.info.digest, *self.index.names),
        )

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def max_bodies(self) -> int:
        """Bodies that a clip has at most."""
        return self.whole.max_bodies

    def lengths(self) -> Int64[ndarray, " N"]:
        """Frames of each clip."""
        return np.asarray(self.whole.lengths()[self._rows])

    def clip(self, row: int) -> Clip:
        """The clip of a row.

        Raises:
            IndexError: There is no such row.
            DataError: It cannot be read.
        """
        if not 0 <= row < len(self):
            raise IndexError(f"row {row} of {len(self)} clips")
        return self.whole.clip(int(self._rows[row]))


def _with_names(
    clips: NpzClips, names: Path, ignore: Sequence[str], on_note: Callable[[str], None] | None
) -> OpenedClips:
    """The clips under their names, or as they are where the names cannot be proven."""
    tell = on_note or (lambda _: None)
    try:
        benchmark, infos = rebuild_names(
            clips.parts, read_samples(names), ignore, file=clips.path.name
        )
    except SourceError as error:
        tell(f"{clips.path}: the rows stay without names: {error}")
        return clips
    tell(f"{clips.path}: {len(infos):,} rows named in the order of {benchmark}; every label agrees")
    return clips.named(infos)


def is_store(path: Path) -> bool:
    """Whether a file begins as a clip store does."""
    return read_start(path, len(_ARROW)) == _ARROW
