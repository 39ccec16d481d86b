"""Checks of run folders and score files that need no heavy import."""

import errno
import os
from pathlib import Path

from skelab.errors import ScoresError, TrainingError
from skelab.evaluation.score_files import TEST_SCORES
from skelab.files.atomic import write_error
from skelab.inference.places import CHECKPOINTS, RECIPE


def check_run_folder(run: Path, *, resume: bool) -> None:
    """Refuse a folder in which a run cannot be started, or cannot be resumed.

    Raises:
        TrainingError: There is a run although a new one is requested, or none to resume.
        OutputError: The folder cannot be made or written.
    """
    try:
        exists = run.exists()
    except OSError as error:  # the name is too long
        raise write_error(run, error) from error
    if resume and not (run / RECIPE).is_file():
        raise TrainingError(f"{run}: there is no run to resume; start it without --resume")
    if not resume and exists and ((run / RECIPE).exists() or (run / CHECKPOINTS).exists()):
        raise TrainingError(
            f"{run}: holds a run already; --resume goes on with it, another --out starts a new one"
        )
    ground = next(place for place in (run, *run.absolute().parents) if place.exists())
    if not ground.is_dir():
        raise write_error(run, _failure(errno.ENOTDIR))
    if not os.access(ground, os.W_OK | os.X_OK):
        raise write_error(run, _failure(errno.EACCES))


def check_comparable(path: Path) -> None:
    """Refuse a path that is neither a run nor a score file.

    Raises:
        ScoresError: The message names what was found.
    """
    if path.is_file() or (path / RECIPE).is_file() or (path / TEST_SCORES).is_file():
        return
    found = f"a folder without {RECIPE}" if path.is_dir() else "nothing"
    raise ScoresError(
        f"{path}: expected a run folder or a score file (npz), found {found};"
        " `skelab train` makes a run"
    )


def _failure(number: int) -> OSError:
    return OSError(number, os.strerror(number))
