"""A recipe and a clip store become a run folder with a trained network."""

import json
import math
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Int64
from numpy import ndarray

from skelab.data.clips.index import UNKNOWN
from skelab.data.clips.splits import GIVEN, GivenSplit, hold_out_subjects, list_parts, parse_split
from skelab.data.feeding.feeder import Feeder
from skelab.data.opened import OpenedClips
from skelab.data.preprocessing import get_pipeline
from skelab.errors import TrainingError
from skelab.files.atomic import atomic_write
from skelab.files.lock import hold_lock
from skelab.host.environment import describe_environment
from skelab.inference.checkpoint import Checkpoint, InputSpec
from skelab.models import ModelSpec, create_model, model_spec
from skelab.recipes import Protocol, Recipe
from skelab.runs.workers import choose_workers
from skelab.training.job import TrainingJob
from skelab.training.loop import train
from skelab.training.precision import check_precision
from skelab.training.processes import Processes
from skelab.training.watch import Watcher

LOCK = ".lock"
"""Names the process that is training into a run folder; gone when it is done."""

RECIPE = "recipe.yaml"
"""The resolved recipe in a run folder; there from the first moment of a run."""


@dataclass(frozen=True)
class RunParts:
    """Rows of a store by their part in a run."""

    train: Int64[ndarray, " A"]
    validation: Int64[ndarray, " B"]
    test: Int64[ndarray, " C"]


def train_recipe(
    recipe: Recipe,
    store: OpenedClips,
    run: Path,
    *,
    resume: bool = False,
    watcher: Watcher | None = None,
    trackers: Sequence[str] = (),
) -> Checkpoint:
    """Train what a recipe says on a store; the run folder says how it went.

    Raises:
        TrainingError: The folder holds a run already, another process trains into it, ``resume``
            finds none or one of another recipe, a clip has no label, or a tracker does not start.
        SplitError: The clips do not fit the recipe's split.
        ModelError: The network does not take the recipe's options.
        OutputError: The folder cannot be written.
    """
    first = Processes().first
    job = plan_training(
        recipe, store, run, on_message=watcher.on_message if watcher and first else None
    )
    with lock_run(run) if first else nullcontext():
        if first:
            check_folder(run, job.recipe, holds_run=job.checkpoints.exists(), resume=resume)
            if not resume:
                _describe_run(job)
        return train(job, resume=resume, watcher=watcher, trackers=trackers)


def lock_run(run: Path) -> AbstractContextManager[None]:
    """Hold a run folder for the length of a block, so that no other process trains into it.

    Of the processes that share a run the first one holds it.

    Raises:
        TrainingError: Another process trains there; the message names it.
        OutputError: The folder cannot be written.
    """
    return hold_lock(run / LOCK, str(run), TrainingError)


def check_folder(run: Path, recipe: str, *, holds_run: bool, resume: bool) -> None:
    """Refuse a folder that does not fit what is asked of it.

    Args:
        run: Folder of the run.
        recipe: The whole recipe, YAML text.
        holds_run: Something else of a run lies there, be it without its recipe.
        resume: A run is to go on, and not to be started.

    Raises:
        TrainingError: There is a run where one is to be started, or none or one of another recipe
            where it is to go on.
    """
    written = run / RECIPE
    if not resume and (written.exists() or holds_run):
        raise TrainingError(
            f"{run}: holds a run already; --resume goes on with it, another --out starts a new one"
        )
    if resume and not written.exists():
        raise TrainingError(f"{run}: there is no run to resume; start it without --resume")
    if resume and written.read_bytes() != recipe.encode():
        raise TrainingError(
            f"{run}: the run was started with another recipe, see {written}; resume it with that,"
            " or start a new one with another --out"
        )


def _describe_run(job: TrainingJob) -> None:
    """Write what the run is; the recipe last, since a folder with a recipe holds a run."""
    inputs = job.inputs
    data = {
        "dataset": inputs.dataset,
        "classes": len(inputs.classes),
        "pipeline": inputs.pipeline,
        "units": inputs.units,
        "digest": inputs.digest,
        "synthetic": inputs.synthetic,
    }
    environment = {**describe_environment(), "data": data}
    for name, text in (
        ("environment.json", json.dumps(environment, indent=2) + "\n"),
        (RECIPE, job.recipe),
    ):
        with atomic_write(job.run / name) as temporary:
            temporary.write_text(text, encoding="utf-8")


def plan_training(
    recipe: Recipe,
    store: OpenedClips,
    run: Path,
    *,
    on_message: Callable[[str], None] | None = None,
) -> TrainingJob:
    """Everything that the run needs, checked before anything is written.

    ``on_message`` is told where the machine makes something different from what the recipe says.

    Raises:
        SplitError: The clips do not fit the recipe's split.
        ModelError: The network does not take the recipe's options.
        TrainingError: A clip has no label, or one that is no class, or this machine cannot compute
            in the recipe's precision.
        DataError: The feeder does not fit the layout.
    """
    check_precision(recipe.precision)
    parts = choose_parts(recipe, store)
    info = store.info
    _check_labels(store)
    max_bodies = recipe.data.max_bodies or min(store.max_bodies, 2)
    # Made once here, so that a wrong option is an error before the first file is written.
    with torch.random.fork_rng(), torch.device("meta"):
        model = create_model(
            recipe.model.name,
            num_classes=len(info.classes),
            layout=info.layout,
            in_channels=len(info.layout.axes),
            max_bodies=max_bodies,
            **recipe.model.options,
        )
    spec: ModelSpec = model_spec(model)
    usual = 4 if torch.cuda.is_available() else 0
    workers = choose_workers(
        usual if recipe.data.workers is None else recipe.data.workers,
        store,
        batch_size=math.ceil(recipe.training.batch_size / Processes().count),
        max_bodies=max_bodies,
        on_message=on_message,
    )
    return TrainingJob(
        model=spec,
        inputs=InputSpec(
            pipeline=info.pipeline,
            units=info.units,
            dataset=info.dataset,
            classes=info.classes,
            feeder=recipe.data.feeder,
            digest=info.digest,
            synthetic=info.synthetic,
        ),
        source=store,
        train_rows=parts.train,
        validation_rows=parts.validation,
        feeder=Feeder(
            recipe.data.feeder,
            info.layout,
            keeps_gaps=get_pipeline(info.pipeline).keeps_gaps,
        ),
        config=recipe.training,
        memory=recipe.memory,
        precision=recipe.precision,
        workers=workers,
        recipe=recipe.to_yaml(),
        protocol=recipe.protocol.value,
        run=run,
    )


def use_given_split(recipe: Recipe, store: OpenedClips) -> Recipe:
    """The recipe itself, or, for clips that lack what its split goes by, with the file's own split.

    Rows of an npz carry no names, so nobody knows their subject; but the file says which of them
    train and which test. Without subjects nothing can be held out, and the last epoch counts.
    """
    split = parse_split(recipe.data.split)
    parts = list_parts(store.index)
    if isinstance(split, GivenSplit) or not parts or (split.column(store.index) != UNKNOWN).all():
        return recipe
    data = recipe.data.model_copy(update={"split": GIVEN, "validation_subjects": 0})
    return recipe.model_copy(update={"data": data})


def choose_parts(recipe: Recipe, store: OpenedClips) -> RunParts:
    """The rows that train, choose the epoch, and test.

    Under ``paper`` the test part chooses the epoch; nothing is then held out of training.

    Raises:
        SplitError: The clips do not fit the recipe's split.
    """
    training, test = parse_split(recipe.data.split).rows(store.index)
    if recipe.protocol is Protocol.PAPER:
        return RunParts(training, test, test)
    training, validation = hold_out_subjects(
        store.index, training, recipe.data.validation_subjects, recipe.training.seed
    )
    return RunParts(training, validation, test)


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
