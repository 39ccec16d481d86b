"""The content and progress of a run folder."""

from pathlib import Path

from skelab.errors import RecipeError
from skelab.inference.places import RECIPE
from skelab.recipes import parse_recipe
from skelab.training.records import read_history


def find_seed_runs(run: Path) -> list[Path]:
    """The folders of the seeds in a run folder, by seed; empty for a run of one seed."""
    return sorted(run.glob("seed-*"), key=lambda path: (len(path.name), path.name))


def unfinished(run: Path) -> str:
    """One line if a run has not finished, with its epochs; else empty.

    Raises:
        TrainingError: The history of the run is damaged.
    """
    written = run / RECIPE
    if not written.is_file():
        return ""
    try:
        planned = parse_recipe(written.read_text("utf-8"), where=str(written)).training.epochs
    except (RecipeError, UnicodeDecodeError):
        return ""  # callers that need the recipe refuse it
    done = len(read_history(run))
    if done >= planned:
        return ""
    return f"{run}: this run has not ended, {done} of its {planned} epochs are done"
