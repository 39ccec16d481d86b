"""What a run folder holds, and how far its run has come."""

from pathlib import Path

from skelab.errors import RecipeError
from skelab.inference.places import RECIPE
from skelab.recipes import parse_recipe
from skelab.training.records import read_history


def find_seed_runs(run: Path) -> list[Path]:
    """The folders of the seeds in a run folder, by seed; empty for a run of one seed."""
    return sorted(run.glob("seed-*"), key=lambda path: (len(path.name), path.name))


def unfinished(run: Path) -> str:
    """That a run has not ended, with its epochs; empty if it has, or if the folder is no run.

    Raises:
        TrainingError: The history of the run is damaged.
    """
    written = run / RECIPE
    if not written.is_file():
        return ""
    try:
        planned = parse_recipe(written.read_text("utf-8"), where=str(written)).training.epochs
    except (RecipeError, UnicodeDecodeError):
        return ""  # whoever needs the recipe refuses it
    done = len(read_history(run))
    if done >= planned:
        return ""
    return f"{run}: this run has not ended, {done} of its {planned} epochs are done"
