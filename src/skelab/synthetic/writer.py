"""Writes a set of synthetic clips as a folder of ``.skeleton`` files, marked as synthetic."""

import json
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from skelab.data.datasets.ntu import SYNTHETIC_MARKER
from skelab.errors import DataError, OutputError
from skelab.files.atomic import atomic_write, write_error
from skelab.synthetic.actions import SyntheticAction, get_action, list_actions
from skelab.synthetic.clips import synthetic_file
from skelab.synthetic.names import clip_names

_GENERATOR, _FORMAT = "skelab synth", 1
_PREFIX, _SUFFIX = ".skelab-synth-", ".part"


@dataclass(frozen=True)
class SyntheticSet:
    """A folder of synthetic clips.

    Attributes:
        path: The folder.
        seed: Seed of the set.
        num_clips: Number of clips.
        actions: Its actions, by number.
        num_bytes: Total size of the files, by which an unfinished set is recognised.
    """

    path: Path
    seed: int
    num_clips: int
    actions: tuple[SyntheticAction, ...]
    num_bytes: int

    @property
    def num_actions(self) -> int:
        """Number of actions."""
        return len(self.actions)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the clips, in order."""
        return clip_names(self.num_clips, actions=self.num_actions)


def write_synthetic(
    out: Path,
    *,
    clips: int,
    actions: int | None = None,
    seed: int = 0,
    on_progress: Callable[[int], None] | None = None,
    overwrite: bool = False,
) -> SyntheticSet:
    """Write synthetic ``.skeleton`` files in the exact NTU RGB+D format, and a marker beside them.

    The clips are those of ``clip_names``. The marker ``SYNTHETIC.json`` states that nothing was
    recorded. Files appear in the folder once all are written; a finished set with the same settings
    is kept, an unfinished one is rewritten.

    Args:
        out: Folder; new, empty, or a synthetic set.
        clips: Number of clips, from 1.
        actions: Number of actions, from 2; 14 by default.
        seed: 0 or more; same seed, same bytes.
        on_progress: Called with the number of clips done.
        overwrite: Replace a finished set of other settings.

    Raises:
        DataError: A number is out of range.
        OutputError: The folder holds something else or cannot be written, or the disk is full;
            existing files are unchanged.
    """
    out = Path(out)
    if seed < 0:
        raise DataError(f"seed: expected 0 or more, found {seed}")
    names = clip_names(clips, actions=actions)
    chosen = tuple(sorted(list_actions(actions), key=lambda action: action.number))
    wanted = SyntheticSet(out, seed, len(names), chosen, num_bytes=0)
    try:
        there = _look_into(out)
        if there is None or not _is_finished(there):
            return _write(wanted, there, on_progress)
        if replace(there, num_bytes=0) != wanted:
            if not overwrite:
                raise OutputError(_other_settings(there))
            return _write(wanted, there, on_progress)
    except OSError as error:
        raise write_error(out, error) from error
    if on_progress is not None:
        on_progress(clips)
    return there


def read_marker(folder: Path) -> SyntheticSet | None:
    """Read the marker of a folder of synthetic clips; None if there is none.

    Raises:
        OutputError: The marker is damaged, or another version wrote it.
    """
    path = Path(folder) / SYNTHETIC_MARKER
    try:
        data = json.loads(path.read_bytes())
        if (data["generator"], data["format"]) != (_GENERATOR, _FORMAT):
            raise ValueError(f"{data['generator']}, format {data['format']}")
        actions = tuple(get_action(int(code[1:])) for code, _ in data["actions"])
        seed, num_clips, num_bytes = (int(data[key]) for key in ("seed", "clips", "bytes"))
        clip_names(num_clips, actions=len(actions))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, LookupError, TypeError, ValueError, RecursionError, DataError) as error:
        raise OutputError(
            f"{path}: expected the marker of a set by {_GENERATOR}, format {_FORMAT}, found"
            f" another or a damaged one: {error}"
        ) from error
    return SyntheticSet(Path(folder), seed, num_clips, actions, num_bytes)


def _look_into(out: Path) -> SyntheticSet | None:
    """The synthetic set in a folder; None if the folder is new or empty."""
    if not out.exists():
        return None
    if not out.is_dir():
        raise OutputError(f"{out}: expected a folder, found a file")
    there = read_marker(out)
    ours = set() if there is None else {SYNTHETIC_MARKER, *(_file(name) for name in there.names)}
    found = sorted(path.name for path in out.iterdir() if not _is_leftover(path.name))
    strange = [name for name in found if name not in ours]
    if strange:
        raise OutputError(
            f"{out}: expected a new or empty folder, or one written by {_GENERATOR}, found"
            f" {strange[0]}{f' and {len(strange) - 1} more' if len(strange) > 1 else ''};"
            " choose another folder"
        )
    return there


def _is_finished(there: SyntheticSet) -> bool:
    """Whether all files exist, with the expected total size."""
    files = [there.path / _file(name) for name in there.names]
    try:
        return sum(path.stat().st_size for path in files) == there.num_bytes
    except OSError:
        return False


def _other_settings(there: SyntheticSet) -> str:
    return (
        f"{there.path}: expected a new or empty folder, found {there.num_clips:,} synthetic clips"
        f" of {there.num_actions} actions, seed {there.seed}; choose another folder, or remove"
        " this one"
    )


def _write(
    wanted: SyntheticSet, there: SyntheticSet | None, on_progress: Callable[[int], None] | None
) -> SyntheticSet:
    """Write all files to a temporary folder, then move the marker, then the files.

    If this is interrupted, the marker identifies the folder as an unfinished set, and no synthetic
    file is ever in it without the marker.
    """
    out, names = wanted.path, wanted.names
    out.mkdir(parents=True, exist_ok=True)
    for path in out.iterdir():
        if _is_leftover(path.name):
            shutil.rmtree(path)
    with tempfile.TemporaryDirectory(prefix=_PREFIX, suffix=_SUFFIX, dir=out) as aside:
        _write_marker(replace(wanted, path=Path(aside)))  # identifies remains
        num_bytes = 0
        for done, name in enumerate(names, start=1):
            num_bytes += (Path(aside) / _file(name)).write_bytes(
                synthetic_file(name, seed=wanted.seed)
            )
            if on_progress is not None:
                on_progress(done)
        for old in () if there is None else there.names:
            (out / _file(old)).unlink(missing_ok=True)
        made = replace(wanted, num_bytes=num_bytes)
        _write_marker(made)
        _move(Path(aside), out, names)
    return made


def _write_marker(made: SyntheticSet) -> None:
    content = {
        "synthetic": True,
        "generator": _GENERATOR,
        "format": _FORMAT,
        "seed": made.seed,
        "clips": made.num_clips,
        "bytes": made.num_bytes,
        "actions": [[action.code, action.name] for action in made.actions],
    }
    with atomic_write(made.path / SYNTHETIC_MARKER) as temporary:
        temporary.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def _move(aside: Path, out: Path, names: Sequence[str]) -> None:
    for name in names:
        (aside / _file(name)).replace(out / _file(name))


def _file(name: str) -> str:
    return f"{name}.skeleton"


def _is_leftover(name: str) -> bool:
    """Whether a path is a remainder of a killed run: a temporary folder or marker."""
    return name.startswith((_PREFIX, f".{SYNTHETIC_MARKER}.")) and name.endswith(_SUFFIX)
