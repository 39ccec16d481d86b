"""A recipe and a clip store become a run folder with a trained network."""

import json
import math
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from skelab.data.clips.index import UNKNOWN
from skelab.data.feeding.draw_log import DrawLog
from skelab.data.feeding.feeder import Feeder
from skelab.data.opened import OpenedClips, check_trimmed
from skelab.data.preprocessing import get_pipeline
from skelab.errors import RecipeError, TrainingError
from skelab.files.atomic import atomic_write
from skelab.files.lock import hold_lock
from skelab.host.environment import describe_environment
from skelab.inference.checkpoint import Checkpoint, InputSpec
from skelab.models import ModelSpec, create_model, model_spec
from skelab.recipes import Recipe, parse_recipe
from skelab.runs.parts import (
    check_own_split,
    choose_parts,
    describe_parts,
    draw_held_out,
    warn_of_parts,
)
from skelab.runs.progress import RECIPE
from skelab.runs.transfer import TRANSFER, initial_weights, origin, with_source
from skelab.runs.workers import choose_workers
from skelab.tasks import TaskSpec, observing_of
from skelab.training.groups import training_groups
from skelab.training.job import TrainingJob
from skelab.training.loop import train
from skelab.training.precision import check_precision
from skelab.training.processes import Processes
from skelab.training.step import make_task
from skelab.training.transfer import SourceWeights
from skelab.training.watch import Watcher

LOCK = ".lock"
"""Names the process that is training into a run folder; gone when it is done."""


def train_recipe(
    recipe: Recipe,
    store: OpenedClips,
    run: Path,
    *,
    resume: bool = False,
    watcher: Watcher | None = None,
    trackers: Sequence[str] = (),
    draw_log: DrawLog | None = None,
    start: SourceWeights | None = None,
) -> Checkpoint:
    """Train what a recipe says on a store; the run folder says how it went.

    Args:
        recipe: The experiment.
        store: The clips.
        run: Folder of the run.
        resume: Go on with the run in the folder.
        watcher: Is told how it goes.
        trackers: Services that are shown each epoch.
        draw_log: Is told what augmentation draws for every clip.
        start: Trained weights to start from, see ``open_weights``; a run that goes on no longer
            needs them.

    Raises:
        TrainingError: The folder holds a run already, another process trains into it, ``resume``
            finds none or one of another recipe, a clip has no label, a tracker does not start, or
            the settings of what it starts from do not fit.
        CheckpointError: It starts from weights of another family.
        LayoutError: It starts from a layout with too few joints in common.
        WeightsError: The shapes of what it starts from differ in another way.
        SplitError: The clips do not fit the recipe's split.
        ModelError: The network does not take the recipe's options.
        OutputError: The folder cannot be written.
    """
    first = Processes().first
    tell = watcher.on_message if watcher and first else _tell_nobody
    text = None
    recipe = with_source(recipe, start, run, resume=resume)
    if resume:
        recipe, text = recipe_to_resume(recipe, run)
    else:
        check_own_split(recipe, store)
        recipe = draw_held_out(recipe, store)
    job = plan_training(recipe, store, run, on_message=tell, draw_log=draw_log, start=start)
    if text is not None:
        job = replace(job, recipe=text)
    with lock_run(run) if first else nullcontext():
        if first:
            check_folder(run, job.recipe, holds_run=job.checkpoints.exists(), resume=resume)
            if not resume:
                _describe_run(job)
                if watcher and job.initial is not None:
                    watcher.on_initial(recipe.transfer.source, job.initial)
            parts = choose_parts(recipe, store)
            tell(describe_parts(recipe, store, parts))
            if warning := warn_of_parts(recipe, parts):
                tell(warning)
        return train(job, resume=resume, watcher=watcher, trackers=trackers)


def lock_run(run: Path) -> AbstractContextManager[None]:
    """Hold a run folder for the length of a block, so that no other process trains into it.

    Of the processes that share a run the first one holds it.

    Raises:
        TrainingError: Another process trains there; the message names it.
        OutputError: The folder cannot be written.
    """
    return hold_lock(run / LOCK, str(run), TrainingError)


def recipe_to_resume(recipe: Recipe, run: Path) -> tuple[Recipe, str]:
    """The recipe that a run goes on with, and its text as the run has it.

    It is the one that the run wrote down, if what is asked for agrees with it in all but the names
    of held-out subjects. A run of an older release lacks keys that came later; its text stays as
    it is, since its checkpoints carry the same. Another recipe comes back as it is, for
    ``check_folder`` to refuse.
    """
    written = run / RECIPE
    try:
        text = written.read_text(encoding="utf-8")
        saved = parse_recipe(text, where=str(written))
    except (OSError, UnicodeDecodeError, RecipeError):
        return recipe, recipe.to_yaml()
    asked = recipe
    if recipe.data.held_out is None:
        data = recipe.data.model_copy(update={"held_out": saved.data.held_out})
        asked = recipe.model_copy(update={"data": data})
    return (saved, text) if asked == saved else (recipe, recipe.to_yaml())


def _tell_nobody(_: str) -> None:
    """Where nobody watches."""


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
    texts = {"environment.json": json.dumps(environment, indent=2) + "\n"}
    if job.initial is not None:
        taken = {"from": dict(job.origin), **job.initial.to_dict()}
        texts[TRANSFER] = json.dumps(taken, indent=2) + "\n"
    for name, text in {**texts, RECIPE: job.recipe}.items():
        with atomic_write(job.run / name) as temporary:
            temporary.write_text(text, encoding="utf-8")


def plan_training(
    recipe: Recipe,
    store: OpenedClips,
    run: Path,
    *,
    on_message: Callable[[str], None] | None = None,
    draw_log: DrawLog | None = None,
    start: SourceWeights | None = None,
) -> TrainingJob:
    """Everything that the run needs, checked before anything is written.

    ``on_message`` is told where the machine makes something different from what the recipe says,
    ``draw_log`` what augmentation draws for every clip; ``start`` is what the network starts from,
    if it does not keep what it draws.

    Raises:
        SplitError: The clips do not fit the recipe's split.
        ModelError: The network does not take the recipe's options.
        TaskError: There is no such task, or it does not take the recipe's options.
        TrainingError: A clip has no label, or one that is no class, a parameter group fits no
            parameter, or this machine cannot compute in the recipe's precision.
        DataError: The store holds sequences, or the feeder does not fit the layout.
    """
    check_precision(recipe.precision)
    check_trimmed(store)
    spec_of_task = TaskSpec(recipe.task.name, recipe.task.options)
    task = make_task(spec_of_task, recipe.training)
    parts = choose_parts(recipe, store)
    info = store.info
    if task.needs_labels:
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
        task.attach_head(model)
    training_groups(
        model, recipe.training, recipe.transfer
    )  # so are patterns that fit no parameter
    spec: ModelSpec = model_spec(model)
    usual = 4 if torch.cuda.is_available() else 0
    workers = choose_workers(
        usual if recipe.data.workers is None else recipe.data.workers,
        store,
        batch_size=math.ceil(recipe.training.batch_size / Processes().count),
        max_bodies=max_bodies,
        on_message=on_message,
    )
    inputs = InputSpec(
        pipeline=info.pipeline,
        units=info.units,
        dataset=info.dataset,
        classes=info.classes,
        feeder=recipe.data.feeder,
        digest=info.digest,
        synthetic=info.synthetic,
    )
    initial = initial_weights(start, spec, inputs, recipe, model) if start else None
    return TrainingJob(
        model=spec,
        inputs=inputs,
        source=store,
        train_rows=parts.train,
        validation_rows=parts.validation,
        feeder=Feeder(
            recipe.data.feeder,
            info.layout,
            keeps_gaps=get_pipeline(info.pipeline).keeps_gaps,
            log=draw_log,
            observing=observing_of(task),
        ),
        config=recipe.training,
        memory=recipe.memory,
        precision=recipe.precision,
        workers=workers,
        recipe=recipe.to_yaml(),
        protocol=recipe.protocol.value,
        run=run,
        task=spec_of_task,
        transfer=recipe.transfer,
        initial=initial,
        origin=origin(start, initial, recipe.transfer) if start and initial else {},
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
