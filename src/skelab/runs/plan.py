"""Builds the training job from a recipe and a clip store."""

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from skelab.data.clips.index import UNKNOWN
from skelab.data.clips.opened_clips import OpenedClips
from skelab.data.feeding.draw_log import DrawLog
from skelab.data.feeding.feeder import Feeder
from skelab.data.feeding.side_cars import SideCarReader
from skelab.data.opened import check_trimmed
from skelab.data.preprocessing import get_pipeline
from skelab.errors import TrainingError
from skelab.inference.checkpoint import InputSpec
from skelab.models import ModelSpec, specify_model
from skelab.recipes import Recipe
from skelab.runs.parts import choose_parts, describe_parts, settle_parts, warn_of_parts
from skelab.runs.side_cars import open_fusion
from skelab.runs.transfer import compare_clips
from skelab.runs.workers import choose_workers
from skelab.tasks import Task, TaskSpec, clips_of, get_task, observing_of
from skelab.training.job import TrainingJob
from skelab.training.processes import Processes
from skelab.training.transfer import SourceWeights


def plan_training(
    recipe: Recipe,
    store: OpenedClips,
    run: Path,
    *,
    text: str | None = None,
    on_message: Callable[[str], None] | None = None,
    draw_log: DrawLog | None = None,
    start: SourceWeights | None = None,
) -> TrainingJob:
    """The training job of a recipe; the network itself is created when training starts.

    Args:
        recipe: The experiment.
        store: The clips.
        run: Folder of the run.
        text: The recorded recipe of a resumed run. None for a new run: its split
            must fit the clips, and held-out subjects are drawn if it does not name them.
        on_message: Called with the clips of each part, and where the machine requires
            a deviation from the recipe.
        draw_log: Records the augmentation draws of every clip.
        start: The initial weights; None for random ones.

    Raises:
        SplitError: The clips do not fit the recipe's split.
        ModelError: There is no such network, or it does not take the recipe's options.
        TaskError: There is no such task, or it does not take the recipe's options.
        TrainingError: A clip has no label, or one that is no class.
        DataError: The store holds sequences, or the feeder does not fit the layout.
        SideCarError: The side-cars cannot be read, or none has the name of a clip.
        RecipeError: A transform or the task does not go with side-cars.
    """
    task = get_task(recipe.task.name, recipe.task.options)
    store = clips_of(task, store, recipe.data.feeder)
    check_trimmed(store)
    if task.needs_labels:
        _check_labels(store)
    fusion, side_cars = open_fusion(recipe, store)
    model, inputs = _specify_model(recipe, store), _specify_inputs(recipe, store)
    tell = on_message or _tell_nobody
    if text is None:
        recipe = settle_parts(recipe, store)
    parts = choose_parts(recipe, store)
    tell(describe_parts(recipe, store, parts))
    if warning := warn_of_parts(recipe, parts):
        tell(warning)
    return TrainingJob(
        model=model,
        inputs=inputs,
        source=store,
        train_rows=parts.train,
        validation_rows=parts.validation,
        feeder=_make_feeder(recipe, store, task, draw_log, side_cars),
        config=recipe.training,
        memory=recipe.memory,
        precision=recipe.precision,
        workers=_choose_workers(recipe, store, model.max_bodies, tell),
        recipe=text or recipe.to_yaml(),
        protocol=recipe.protocol.value,
        run=run,
        task=TaskSpec(recipe.task.name, recipe.task.options),
        transfer=recipe.transfer,
        fusion=fusion,
        start=compare_clips(start, inputs, recipe) if start else None,
    )


def _make_feeder(
    recipe: Recipe,
    store: OpenedClips,
    task: Task,
    draw_log: DrawLog | None,
    side_cars: SideCarReader | None,
) -> Feeder:
    return Feeder(
        recipe.data.feeder,
        store.info.layout,
        keeps_gaps=get_pipeline(store.info.pipeline).keeps_gaps,
        log=draw_log,
        observing=observing_of(task),
        side_cars=side_cars,
    )


def _choose_workers(
    recipe: Recipe, store: OpenedClips, max_bodies: int, tell: Callable[[str], None]
) -> int:
    usual = 4 if torch.cuda.is_available() else 0
    return choose_workers(
        usual if recipe.data.workers is None else recipe.data.workers,
        store,
        batch_size=math.ceil(recipe.training.batch_size / Processes().count),
        max_bodies=max_bodies,
        on_message=tell,
    )


def _tell_nobody(_: str) -> None:
    """Ignore a message."""


def _specify_model(recipe: Recipe, store: OpenedClips) -> ModelSpec:
    layout = store.info.layout
    return specify_model(
        recipe.model.name,
        num_classes=len(store.info.classes),
        layout=layout,
        in_channels=len(layout.axes),
        max_bodies=recipe.data.max_bodies or min(store.max_bodies, 2),
        **recipe.model.options,
    )


def _specify_inputs(recipe: Recipe, store: OpenedClips) -> InputSpec:
    info = store.info
    return InputSpec(
        pipeline=info.pipeline,
        units=info.units,
        dataset=info.dataset,
        classes=info.classes,
        feeder=recipe.data.feeder,
        digest=info.digest,
        synthetic=info.synthetic,
    )


def _check_labels(store: OpenedClips) -> None:
    unlabelled = np.flatnonzero(store.index.labels == UNKNOWN)
    if len(unlabelled):
        raise TrainingError(
            f"{store.path}: {len(unlabelled)} clips have no label, the first is"
            f" {store.index.names[unlabelled[0]]!r}; training needs one for each"
        )
    highest = int(store.index.labels.max())
    if highest >= len(store.info.classes):
        raise TrainingError(
            f"{store.path}: expected labels below {len(store.info.classes)}, the number of classes,"
            f" found {highest}; ingest the source again"
        )
