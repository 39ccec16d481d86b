"""Runs that start from trained weights: find the file, load it, record it."""

import shutil
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from skelab.errors import CheckpointError, RecipeError, TrainingError, WeightsError
from skelab.files.atomic import atomic_write
from skelab.inference.checkpoint import Checkpoint, InputSpec, read_checkpoint
from skelab.inference.places import CHECKPOINTS, CHOSEN, chosen_checkpoint
from skelab.models import read_state_dict
from skelab.recipes import Protocol, Recipe, parse_recipe
from skelab.runs.progress import unfinished
from skelab.training.config import TransferConfig
from skelab.training.transfer import SourceWeights

_KEPT: Final = "start.safetensors"
_IMPORT: Final = "`skelab import-weights MODEL FILE OUT` makes a checkpoint of weights alone"


def open_weights(path: Path) -> SourceWeights:
    """The trained weights of a run folder or a checkpoint.

    For a run they are those of the chosen epoch; for a checkpoint within a run the running
    average, if there is one, since that is evaluated.

    Raises:
        CheckpointError: There is no checkpoint, it is damaged or another kind of file, or the run
            has not ended.
    """
    file = _chosen_of(path) if path.is_dir() else path
    try:
        checkpoint = read_checkpoint(file)
    except CheckpointError:
        if not _holds_weights_alone(file):
            raise
        raise CheckpointError(
            f"{file}: weights alone, which do not say what they belong to; {_IMPORT}"
        ) from None
    average = checkpoint.trainer.average if checkpoint.trainer else {}
    return SourceWeights(
        name=_name(file),
        model=checkpoint.model,
        classes=checkpoint.inputs.classes,
        weights=average or checkpoint.weights,
        task=checkpoint.task,
        digest=checkpoint.digest,
        facts=_facts(checkpoint),
        file=file,
    )


def keep_weights(start: SourceWeights, run: Path) -> None:
    """Copy the weights into the folder of several seeds for those that start later.

    Raises:
        OutputError: The disk is full or the folder cannot be written.
    """
    if start.file is not None:
        with atomic_write(run / _KEPT) as temporary:
            shutil.copyfile(start.file, temporary)


def kept_weights(run: Path) -> SourceWeights | None:
    """The weights that :func:`keep_weights` has put there; None if there are none.

    Raises:
        CheckpointError: The file is damaged.
    """
    return open_weights(run / _KEPT) if (run / _KEPT).is_file() else None


def with_source(
    recipe: Recipe, start: SourceWeights | None, *, began: TransferConfig | None = None
) -> Recipe:
    """The recipe with the name and digest of the weights that it starts from.

    Args:
        recipe: The experiment.
        start: Trained weights; None if nobody gave any.
        began: The recorded start of a resumed run, which need not be given again.

    Raises:
        TrainingError: The recipe starts from other weights, its weights have no path given,
            or it freezes parameters without starting from weights.
    """
    config = recipe.transfer
    if began is not None and not config.source:
        config = config.model_copy(update={"source": began.source, "digest": began.digest})
    if start is not None:
        if config.digest not in ("", start.digest):
            raise TrainingError(
                f"{start.name}: expected the weights {config.source} with the digest"
                f" {config.digest}, found {start.digest}"
            )
        named = {"source": config.source or start.name, "digest": start.digest}
        config = config.model_copy(update=named)
    elif config.source and began is None:
        raise TrainingError(
            f"the recipe starts from the weights {config.source}; say where they are:"
            " --from RUN or --from CHECKPOINT"
        )
    if not config.source and config != TransferConfig():
        raise TrainingError(
            "--freeze and the settings under transfer are for runs that start from trained"
            " weights: say which, --from RUN or --from CHECKPOINT"
        )
    return recipe.model_copy(update={"transfer": config})


def compare_clips(start: SourceWeights, inputs: InputSpec, recipe: Recipe) -> SourceWeights:
    """The weights with notes on how their training clips differ from those of a run.

    Args:
        start: Trained weights.
        inputs: The inputs of the new network.
        recipe: Says the split.
    """
    return replace(start, notes=tuple(_differences(start, inputs, recipe)))


def origin_notes(origin: Mapping[str, Any]) -> list[str]:
    """Report lines about the initial weights of a run; empty for random ones."""
    if not origin:
        return []
    made_up = "SYNTHETIC " if origin.get("synthetic") else ""
    notes = [
        f"Training began from the weights {origin['file']} (digest {origin['digest'][:12]}),"
        f" trained on {made_up}clips of {origin.get('dataset')}, split {origin.get('split')}:"
        f" {origin['taken']}."
    ]
    return notes + [f"About these weights: {note}." for note in origin.get("notes", ())]


def _chosen_of(run: Path) -> Path:
    """The chosen checkpoint of a finished run."""
    seeds = sorted(run.glob(f"seed-*/{CHECKPOINTS}"))
    if seeds:
        raise CheckpointError(
            f"{run}: holds a run for each of {len(seeds)} seeds; give one of them, say"
            f" {seeds[0].parent}"
        )
    if said := unfinished(run):
        chosen = run / CHECKPOINTS / CHOSEN
        newest = max(run.glob(f"{CHECKPOINTS}/epoch-*.safetensors"), default=None)
        instead = chosen if chosen.is_file() else newest
        raise CheckpointError(
            f"{said}; to start from what it has, give {instead}" if instead else said
        )
    return chosen_checkpoint(run)


def _holds_weights_alone(file: Path) -> bool:
    try:
        read_state_dict(file)
    except WeightsError:
        return False
    return not _claims_to_be_a_checkpoint(file)


def _claims_to_be_a_checkpoint(file: Path) -> bool:
    """Whether a file is a checkpoint of skelab, even if damaged, by the keys in its header."""
    with file.open("rb") as opened:
        return b'"skelab"' in opened.read(1 << 16)


def _name(file: Path) -> str:
    """The names of the file and its run, without their location."""
    folder = file.resolve().parent
    return (
        f"{folder.parent.name}/{CHECKPOINTS}/{file.name}"
        if folder.name == CHECKPOINTS
        else (file.name)
    )


def _facts(checkpoint: Checkpoint) -> dict[str, Any]:
    inputs = checkpoint.inputs
    try:
        split = parse_recipe(checkpoint.recipe).data.split
    except RecipeError:
        split = ""
    return {
        "layout": checkpoint.model.layout.name,
        "dataset": inputs.dataset,
        "data_digest": inputs.digest,
        "synthetic": inputs.synthetic,
        "classes": len(inputs.classes),
        "pipeline": inputs.pipeline,
        "units": inputs.units,
        "stream": inputs.feeder.stream.value,
        "split": split,
        "protocol": checkpoint.protocol,
        "epoch": checkpoint.epoch,
    }


def _differences(start: SourceWeights, inputs: InputSpec, recipe: Recipe) -> Iterator[str]:
    here = {
        "pipeline": inputs.pipeline,
        "units": inputs.units,
        "stream": inputs.feeder.stream.value,
    }
    for name, value in here.items():
        if start.facts.get(name, value) != value:
            yield f"they were trained on {name} {start.facts[name]}, here it is {value}"
    if start.facts.get("synthetic") and not inputs.synthetic:
        yield "they were trained on SYNTHETIC clips"
    same_clips = bool(inputs.digest) and start.facts.get("data_digest") == inputs.digest
    if not same_clips and start.facts.get("dataset") != inputs.dataset:
        return
    if start.facts.get("split") != recipe.data.split:
        yield (
            f"they were trained on clips of {inputs.dataset} under split"
            f" {start.facts.get('split')}, so that test clips of split {recipe.data.split} may be"
            " among those that they know"
        )
    elif start.facts.get("protocol") == Protocol.PAPER.value:
        yield "their epoch was chosen on the test part of this split"
