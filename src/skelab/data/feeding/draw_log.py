"""Log of the random draws of training, as JSON lines, from which batches can be rebuilt."""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from skelab.errors import DataError
from skelab.files.atomic import write_error

_KEYS: Final = {"seed", "epoch", "row", "clip", "transform", "drawn"}


class DrawLog:
    """Appends random draws to a file, one write per batch.

    A resumed run appends to its file; repeated draws are identical. The processes of a run, and the
    seeds of a recipe, share the file.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._begun = False

    def add(
        self,
        drawn: Mapping[str, Sequence[Any]],
        *,
        seed: int,
        epoch: int,
        rows: Sequence[int],
        names: Sequence[str],
    ) -> None:
        """Log the draws of each transform for each clip of a batch.

        Raises:
            OutputError: The disk is full or the file cannot be written.
        """
        lines = [
            json.dumps(
                {
                    "seed": seed,
                    "epoch": epoch,
                    "row": row,
                    "clip": name,
                    "transform": transform,
                    "drawn": values[place],
                }
            )
            for place, (row, name) in enumerate(zip(rows, names, strict=True))
            for transform, values in drawn.items()
        ]
        try:
            if not self._begun:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                _cut_unfinished_line(self.path)
                self._begun = True
            with self.path.open("ab", buffering=0) as file:
                file.write("".join(f"{line}\n" for line in lines).encode())
        except OSError as error:
            raise write_error(self.path, error) from error


@dataclass(frozen=True)
class LoggedDraws:
    """The random draws of one epoch of a run.

    Attributes:
        path: The file that it was read from.
        seed: Seed of the run.
        epoch: The epoch, from 0.
        names: Name of each clip by its row, in the order in which the clips trained.
        drawn: Draws of each transform by row, in the order of transforms.
    """

    path: Path
    seed: int
    epoch: int
    names: Mapping[int, str]
    drawn: Mapping[int, Mapping[str, Any]]

    @property
    def rows(self) -> tuple[int, ...]:
        """Rows of the clips in the order of training."""
        return tuple(self.names)


def read_draws(path: Path, *, epoch: int, seed: int | None = None) -> LoggedDraws:
    """Read the random draws of an epoch.

    Args:
        path: File written by ``skelab train --log-draws``.
        epoch: The epoch, from 0.
        seed: Seed of the run; may be omitted if the file holds a single run.

    Raises:
        DataError: The file cannot be read, a line is malformed, the epoch is missing, or ``seed``
            is needed to choose between runs.
    """
    names: dict[int, dict[int, str]] = {}
    drawn: dict[int, dict[int, dict[str, Any]]] = {}
    for line in _lines(path):
        if line["epoch"] == epoch and seed in (None, line["seed"]):
            names.setdefault(line["seed"], {}).setdefault(line["row"], line["clip"])
            clips = drawn.setdefault(line["seed"], {})
            clips.setdefault(line["row"], {})[line["transform"]] = line["drawn"]
    if len(names) != 1:
        found = f"seeds {', '.join(map(str, sorted(names)))}: say which" if names else "none"
        asked = "" if seed is None else f" of seed {seed}"
        raise DataError(f"{path}: expected draws of epoch {epoch}{asked}, found {found}")
    (found_seed,) = names
    return LoggedDraws(path, found_seed, epoch, names[found_seed], drawn[found_seed])


def open_draw_log(path: Path, *, resume: bool) -> DrawLog:
    """Open the log of a new or resumed run.

    Raises:
        DataError: A new run would append to the file of another run.
    """
    if path.exists() and not resume:
        raise DataError(
            f"{path}: holds the draws of a run already; --resume goes on with that run, another"
            " --log-draws starts a new file"
        )
    return DrawLog(path)


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    """All complete lines; an unfinished last one is skipped."""
    try:
        with path.open("rb") as file:
            for number, text in enumerate(file, start=1):
                if text.endswith(b"\n"):
                    yield _parse(text, f"{path}, line {number}")
    except OSError as error:
        raise DataError(f"{path}: the draws cannot be read: {error.strerror}") from None


def _parse(text: bytes, where: str) -> dict[str, Any]:
    try:
        line = json.loads(text)
        if set(line) == _KEYS and all(type(line[key]) is int for key in ("seed", "epoch", "row")):
            return dict(line)
    except (ValueError, TypeError):
        pass
    shown = text[:40].decode(errors="replace").strip()
    raise DataError(f"{where}: expected the JSON line of a draw, found {shown!a}")


def _cut_unfinished_line(path: Path) -> None:
    """Remove an unfinished last line."""
    if not path.exists():
        return
    with path.open("rb+") as file:
        end = file.seek(0, os.SEEK_END)
        begin = max(0, end - 2**20)
        file.seek(begin)
        tail = file.read()
        if not tail.endswith(b"\n"):
            file.truncate(begin + tail.rfind(b"\n") + 1)
