"""Trains one recipe with several seeds, and computes figures with intervals."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.stats import t as student

from skelab.data.clips.opened_clips import OpenedClips
from skelab.data.feeding.draw_log import DrawLog
from skelab.files.atomic import atomic_write
from skelab.inference.places import RECIPE
from skelab.recipes import Recipe
from skelab.runs.train import open_run, train_recipe
from skelab.runs.transfer import keep_weights, kept_weights
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
    """Mean and 95 % interval of a figure over several runs.

    The interval is over seeds on the same clips, not over other clips.

    Source: Student, Biometrika 6 (1908) 1-25.
    """
    array = np.asarray(values, dtype=np.float64)
    mean = float(array.mean())
    if len(array) == 1:
        return SeedMean(mean, float("nan"), float("nan"), tuple(array.tolist()))
    half = float(student.ppf(0.975, len(array) - 1) * array.std(ddof=1) / len(array) ** 0.5)
    return SeedMean(mean, mean - half, mean + half, tuple(array.tolist()))


def seed_runs(recipe: Recipe, run: Path) -> list[tuple[Recipe, Path]]:
    """The recipe and folder of each seed; for one seed, the run folder itself."""
    if recipe.seeds == 1:
        return [(recipe, run)]
    first = recipe.training.seed
    runs = []
    for seed in range(first, first + recipe.seeds):
        training = recipe.training.model_copy(update={"seed": seed})
        single = recipe.model_copy(update={"training": training, "seeds": 1})
        runs.append((single, run / f"seed-{seed}"))
    return runs


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
    """Train a recipe with each of its seeds, one run after the other.

    A recipe of one seed is trained in the folder itself.

    With ``resume``, finished seeds are kept, and the others are resumed or started.
    ``draw_log`` records the augmentation draws of every clip of all seeds. All start from the
    same weights, if given; each seed draws the parameters that these lack.

    Returns:
        The run folder of each seed.

    Raises:
        TrainingError: The folder holds a run already, or ``resume`` finds none or another recipe;
            and whatever ``train_recipe`` raises.
    """
    watcher = watcher or Watcher()
    several = recipe.seeds > 1
    if several and start is None and resume:
        start = kept_weights(run)
    folders: list[Path] = []
    with _open_seeds(recipe, run, resume, start) if several else nullcontext(recipe) as recipe:
        for single, folder in seed_runs(recipe, run):
            if several:
                watcher.on_message(
                    f"seed {single.training.seed}, {len(folders) + 1} of {recipe.seeds}: {folder}"
                )
            train_recipe(
                single,
                store,
                folder,
                resume=resume and (not several or (folder / RECIPE).exists()),
                watcher=watcher,
                trackers=trackers,
                draw_log=draw_log,
                start=start,
            )
            folders.append(folder)
    return folders


@contextmanager
def _open_seeds(
    recipe: Recipe, run: Path, resume: bool, start: SourceWeights | None
) -> Iterator[Recipe]:
    """Lock the folder of several seeds, and save the initial weights for later seeds."""
    with open_run(recipe, run, resume=resume, start=start) as (recipe, _):
        if Processes().first and not resume:
            if start is not None:
                keep_weights(start, run)
            with atomic_write(run / RECIPE) as temporary:
                temporary.write_text(recipe.to_yaml(), encoding="utf-8")
        yield recipe
