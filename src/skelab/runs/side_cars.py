"""Side-cars of a run: opened for a recipe, and the weight of late fusion fitted on validation."""

from dataclasses import replace
from pathlib import Path

import torch

from skelab.data.clips.opened_clips import OpenedClips
from skelab.errors import RecipeError
from skelab.evaluation import Scores, fit_weights
from skelab.fusion import (
    AlignedSideCars,
    FusionSpec,
    open_side_cars,
    side_cars_of_store,
)
from skelab.inference.checkpoint import Checkpoint, read_checkpoint
from skelab.inference.network import open_network
from skelab.recipes import Recipe
from skelab.training.job import TrainingJob

_SHARE = "classifier.share"
_REFUSED = {
    "mix": "mixes two clips into one, which side-cars are not",
    "reverse-time": "turns time round, which side-cars do not follow",
}


def open_fusion(
    recipe: Recipe, store: OpenedClips
) -> tuple[FusionSpec | None, AlignedSideCars | None]:
    """The fuser and the side-cars that a recipe asks for; None without a section ``fusion``.

    Raises:
        SideCarError: The side-cars cannot be read, or none has the name of a clip.
        RecipeError: A transform or the task does not go with side-cars.
    """
    config = recipe.fusion
    if config is None:
        return None, None
    for transform in recipe.data.transforms:
        if why := _REFUSED.get(transform.name):
            raise RecipeError(
                f"data.transforms: {transform.name} {why}; leave it out to train with --side-car"
            )
    if recipe.task.options.get("oracle"):
        raise RecipeError(
            "task.oracle: shows whole clips beside their beginnings, for which"
            " there are no side-cars; --set task.oracle=false"
        )
    side_cars = open_side_cars(Path(config.side_car))
    return FusionSpec.of(config, side_cars.info), side_cars_of_store(side_cars, store)


def fit_late_share(job: TrainingJob, store: OpenedClips) -> str:
    """Fit the side-car's weight of the chosen network on the validation rows, and save it.

    Returns:
        One line that says what was done.
    """
    checkpoint = read_checkpoint(job.chosen)
    side_cars = job.feeder.side_cars
    if not len(job.validation_rows) or side_cars is None:
        return "late fusion: no validation clips, so both classifiers have equal weights"
    parts: list[Scores] = []
    for share in (0.0, 1.0):
        network = open_network(_with_share(checkpoint, share)).with_side_cars(side_cars)
        scores = network.scores(store, job.validation_rows, split="own", part="validation")
        if not isinstance(scores, Scores):
            raise RecipeError("fusion.kind late: expected a task that names classes")
        parts.append(scores)
    _, share = fit_weights(parts)
    _with_share(checkpoint, share).save(job.chosen)
    return (
        f"late fusion: weight of the side-car {share:.2f}, fitted on"
        f" {len(job.validation_rows):,} validation clips"
    )


def _with_share(checkpoint: Checkpoint, share: float) -> Checkpoint:
    weights = {**checkpoint.weights, _SHARE: torch.tensor(share)}
    return replace(checkpoint, weights=weights)
