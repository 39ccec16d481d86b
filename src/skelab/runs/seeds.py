"""One recipe with several seeds: a run folder of run folders, and figures with an interval."""

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.stats import t as student

from skelab.data.feeding.draw_log import DrawLog
from skelab.data.opened import OpenedClips
from skelab.files.atomic import atomic_write
from skelab.recipes import Recipe
from skelab.runs.progress import RECIPE
from skelab.runs.train import check_folder, lock_run, recipe_to_resume, train_recipe
from skelab.runs.transfer import keep_weights, kept_weights, with_source
from skelab.training.processes import Processes
from skelab.training.transfer import SourceWeights
from skelab.training.watch import Watcher


@dataclass(frozen=True)
class SeedMean:
    """A figure over several seeds.

    Attributes:
        mean: Mean of the runs.
        low: Lower end of the 95 % interval of the mean, by Student's t; nan for one run.
        high: Upper end.
        values: The figure of each run.
    """

    mean: float
    low: float
    high: float
    values: tuple[float, ...]


def mean_over_seeds(values: Sequence[float]) -> SeedMean:
    """Mean and 95 % interval of a figure that several runs gave.

    The interval speaks of other seeds on the same clips, not of other clips.

    Source: Student, Biometrika 6 (1908) 1-25.
    """
    array = np.asarray(values, dtype=np.float64)
    mean = float(array.mean())
    if len(array) == 1:
        return SeedMean(mean, float("nan"), float("nan"), tuple(array.tolist()))
    half = float(student.ppf(0.975, len(array) - 1) * array.std(ddof=1) / len(array) ** 0.5)
    return SeedMean(mean, mean - half, mean + half, tuple(array.tolist()))


def seed_runs(recipe: Recipe, run: Path) -> list[tuple[Recipe, Path]]:
    """The recipe of each seed, and its folder in the run's."""
    first = recipe.training.seed
    runs = []
    for seed in range(first, first + recipe.seeds):
        training = recipe.training.model_copy(update={"seed": seed})
        single = recipe.model_copy(update={"training": training, "seeds": 1})
        runs.append((single, run / f"seed-{seed}"))
    return runs


def find_seed_runs(run: Path) -> list[Path]:
    """The folders of the seeds in a run folder, by seed; empty for a run of one seed."""
    return sorted(run.glob("seed-*"), key=lambda path: (len(path.name), path.name))


def train_seeds(
    recipe: Recipe,
    store: OpenedClips,
    run: Path,
    *,
    resume: bool = False,
    watcher: Watcher | None = None,
    trackers: Sequence[str] = (),
    draw_log: DrawLog | None = None,
    start: SourceWeights | None = None,
) -> list[Path]:
    """Train a recipe once with each of its seeds, one run after the other.

    With ``resume``, seeds that have ended are left as they are, and the others go on or begin.
    ``draw_log`` is told what augmentation draws for every clip, in all of them. All start from the
    same weights, if there are any; what these lack each seed draws anew.

    Returns:
        The run folder of each seed.

    Raises:
        TrainingError: The folder holds a run already, or ``resume`` finds none or another recipe;
            and whatever ``train_recipe`` raises.
    """
    watcher = watcher or Watcher()
    if start is None and resume:
        start = kept_weights(run)
    recipe = with_source(recipe, start, run, resume=resume)
    first = Processes().first
    with lock_run(run) if first else nullcontext():
        if first:
            _prepare_folder(recipe, run, start, resume=resume)
        folders = []
        for number, (single, folder) in enumerate(seed_runs(recipe, run), start=1):
            seed = single.training.seed
            watcher.on_message(f"seed {seed}, {number} of {recipe.seeds}: {folder}")
            begun = (folder / RECIPE).exists()
            train_recipe(
                single,
                store,
                folder,
                resume=resume and begun,
                watcher=watcher,
                trackers=trackers,
                draw_log=draw_log,
                start=start,
            )
            folders.append(folder)
    return folders


def _prepare_folder(
    recipe: Recipe, run: Path, start: SourceWeights | None, *, resume: bool
) -> None:
    """Check the folder of all seeds and, at the first start, write recipe and initial weights."""
    text = recipe_to_resume(recipe, run)[1] if resume else recipe.to_yaml()
    check_folder(run, text, holds_run=bool(find_seed_runs(run)), resume=resume)
    if resume:
        return
    if start is not None:
        keep_weights(start, run)
    with atomic_write(run / RECIPE) as temporary:
        temporary.write_text(text, encoding="utf-8")
