"""Trains a recipe on a clip store into a run folder."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path

from skelab.data.clips.opened_clips import OpenedClips
from skelab.data.feeding.draw_log import DrawLog
from skelab.errors import RecipeError, TrainingError
from skelab.files.lock import hold_lock
from skelab.inference.checkpoint import Checkpoint, read_checkpoint
from skelab.inference.places import RECIPE
from skelab.recipes import Recipe, parse_recipe
from skelab.runs.controls import CONTROLS, control_recipes
from skelab.runs.places import check_run_folder
from skelab.runs.plan import plan_training
from skelab.runs.side_cars import fit_late_share
from skelab.runs.transfer import with_source
from skelab.training.loop import train
from skelab.training.processes import Processes
from skelab.training.transfer import SourceWeights
from skelab.training.watch import Watcher

LOCK = ".lock"
"""Lock file that names the process training into a run folder."""


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
    """Train a recipe on a store; results are written to the run folder.

    With side-cars the same recipe is trained twice more, on skeletons alone and on side-cars alone,
    in the folder ``controls`` of the run: a fused network is only shown beside these.

    Args:
        recipe: The experiment.
        store: The clips.
        run: Folder of the run.
        resume: Resume the run in the folder.
        watcher: Notified of the progress.
        trackers: Experiment trackers that log each epoch.
        draw_log: Records the augmentation draws of every clip.
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
    watcher = watcher if watcher and Processes().first else Watcher()
    with open_run(recipe, run, resume=resume, start=start) as (recipe, text):
        job = plan_training(
            recipe,
            store,
            run,
            text=text,
            on_message=watcher.on_message,
            draw_log=draw_log,
            start=start,
        )
        made = train(job, resume=resume, watcher=watcher, trackers=trackers)
        if recipe.fusion is None:
            return made
        if recipe.fusion.kind == "late" and Processes().first:
            watcher.on_message(fit_late_share(job, store))
        Processes().wait()
        for name, control in control_recipes(recipe).items():
            folder = run / CONTROLS / name
            watcher.on_message(f"control {name}: {folder}")
            going_on = (folder / RECIPE).exists()
            train_recipe(control, store, folder, resume=going_on, watcher=watcher, start=start)
        return read_checkpoint(job.chosen)


@contextmanager
def open_run(
    recipe: Recipe, run: Path, *, resume: bool, start: SourceWeights | None
) -> Iterator[tuple[Recipe, str | None]]:
    """Lock a run folder during the block, so that no other process trains into it.

    In distributed training the first process holds the lock.

    Args:
        recipe: The requested recipe.
        run: The folder, of one run or of several seeds.
        resume: Resume a run instead of starting one.
        start: Trained weights to start from.

    Yields:
        The recipe and, of a run that goes on, its text as the run has it. A run of an older
        release lacks keys that came later; its text stays as it is, since its checkpoints carry
        the same.

    Raises:
        TrainingError: Another process trains there; there is a run where one is to be started, or
            none or one of another recipe where it is to go on; or the settings of what it starts
            from do not fit.
        OutputError: The folder cannot be written.
    """
    first = Processes().first
    with hold_lock(run / LOCK, str(run), TrainingError) if first else nullcontext():
        if first:
            check_run_folder(run, resume=resume)
        yield recipe_to_resume(recipe, run, start) if resume else (with_source(recipe, start), None)


def recipe_to_resume(
    recipe: Recipe, run: Path, start: SourceWeights | None = None
) -> tuple[Recipe, str]:
    """The recipe of a resumed run, and its recorded text.

    The requested recipe must agree with it; held-out subjects and the name of the weights that it
    started from need not be repeated.

    Raises:
        TrainingError: The run is one of another recipe, or started from other weights.
    """
    written = run / RECIPE
    try:
        text = written.read_text(encoding="utf-8")
        saved = parse_recipe(text, where=str(written))
    except (OSError, UnicodeDecodeError, RecipeError):
        saved = None
    if saved is not None:
        if recipe.data.held_out is None:
            data = recipe.data.model_copy(update={"held_out": saved.data.held_out})
            recipe = recipe.model_copy(update={"data": data})
        if with_source(recipe, start, began=saved.transfer) == saved:
            return saved, text
    raise TrainingError(
        f"{run}: the run was started with another recipe, see {written}; resume it with that,"
        " or start a new one with another --out"
    )
