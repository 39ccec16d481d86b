"""Converts between weights of the authors' code and checkpoints."""

import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import torch
from safetensors.torch import save
from torch import Tensor

from skelab.data.datasets import get_dataset, list_datasets
from skelab.data.preprocessing import get_pipeline
from skelab.errors import SourceError, WeightsError
from skelab.files.atomic import atomic_write
from skelab.files.kinds import CHECKPOINT, WEIGHTS
from skelab.files.output import check_output
from skelab.files.reading import read_whole
from skelab.inference.checkpoint import Checkpoint, InputSpec, read_checkpoint
from skelab.inference.places import chosen_checkpoint
from skelab.models import (
    ModelSpec,
    export_weights,
    get_card,
    import_weights,
    model_spec,
    read_state_dict,
)
from skelab.recipes import Protocol, Recipe, list_recipes, load_recipe, parse_recipe
from skelab.skeleton import Layout

UNKNOWN_EPOCH: Final = 0
"""The epoch of a checkpoint with unknown training time."""

_UNNAMED: Final = "unnamed"
_PLAIN: Final = "as-given"
_LARGEST_NAMES: Final = 1 << 24
_SUFFIXES: Final = (".safetensors", ".pt", ".pth")


@dataclass(frozen=True)
class ImportedWeights:
    """The result of an import.

    Attributes:
        path: The checkpoint.
        checkpoint: Its content.
        notes: Assumptions about the weights that may be wrong.
    """

    path: Path
    checkpoint: Checkpoint
    notes: tuple[str, ...] = ()


def import_weights_file(
    name: str,
    file: Path,
    out: Path,
    *,
    layout: str | Layout | None = None,
    dataset: str | None = None,
    classes: Sequence[str] | None = None,
    pipeline: str | None = None,
    stream: str | None = None,
    window: int | None = None,
    max_bodies: int | None = None,
    split: str | None = None,
    force: bool = False,
) -> ImportedWeights:
    """Convert weights trained with the authors' code of a family to a checkpoint.

    Files of weights do not describe their training. The defaults are those of the family's
    recipe; the epoch is unknown, and assumed to have been chosen on the test part, as in the
    papers do.

    Args:
        name: The family.
        file: ``.pt``, ``.pth`` or ``.safetensors``; no code in it is run.
        out: The checkpoint to write.
        layout: The joints' order; needed unless there are 25.
        dataset: Where the class names are from, as in :func:`list_datasets`.
        classes: The class names themselves.
        pipeline: Preprocessing of the clips.
        stream: Input stream of the network.
        window: Frames of an input.
        max_bodies: Bodies of a clip; None derives it from the shapes, or else takes 2.
        split: The split whose training part trained them. Figures of its training clips are then
            refused; without it every figure says that the training part is unknown.
        force: Replace an existing checkpoint.

    Raises:
        WeightsError: The file cannot be read, or its keys or shapes do not fit; or the class names
            or the window do not.
        ModelError: There is no such family.
        LayoutError: There is no such layout.
        RecipeError: ``stream``, ``window`` or ``split`` is out of range.
        DataError: There is no such pipeline.
        OutputError: The checkpoint cannot be written, or there is a file that is not to be
            overwritten.
    """
    check_output(out, CHECKPOINT, inputs=[file], force=force)
    model = import_weights(name, read_state_dict(file), layout=layout, max_bodies=max_bodies)
    spec = model_spec(model)
    recipe = _recipe(spec, stream, window, split)
    _check_window(spec, recipe.data.window)
    prepared = get_pipeline(pipeline or _default_pipeline(spec)).name
    named = _class_names(file, spec, dataset, classes)
    checkpoint = Checkpoint(
        model=spec,
        inputs=InputSpec(
            pipeline=prepared,
            units="metres",
            dataset=_kind_of(named),
            classes=named,
            feeder=recipe.data.feeder,
            split=split or "",
        ),
        recipe=recipe.to_yaml(),
        weights=model.state_dict(),
        epoch=UNKNOWN_EPOCH,
        protocol=recipe.protocol.value,
    )
    checkpoint.save(out)
    notes = () if pipeline else _pipeline_notes(name, prepared)
    return ImportedWeights(out, checkpoint, notes)


def _pipeline_notes(name: str, pipeline: str) -> tuple[str, ...]:
    if not get_card(name).pipeline_is_nearest:
        return ()
    return (f"the preprocessing of {name}'s authors is not implemented; {pipeline} is closest",)


def export_weights_file(path: Path, out: Path, *, force: bool = False) -> int:
    """Write a checkpoint's weights in the authors' format; returns the number of tensors.

    Args:
        path: A checkpoint, or a run folder.
        out: ``.safetensors``, ``.pt`` or ``.pth``.
        force: Replace existing weights.

    Raises:
        CheckpointError: There is no checkpoint, or it is damaged.
        ModelError: The family has no authors whose names could be used.
        WeightsError: ``out`` has another suffix.
        OutputError: The file cannot be written, or there is one that is not to be overwritten.
    """
    if out.suffix not in _SUFFIXES:
        raise WeightsError(
            f"{out}: expected a name that ends with {', '.join(_SUFFIXES)}, found"
            f" {out.suffix or 'none of them'!r}"
        )
    checkpoint = chosen_checkpoint(path)
    check_output(out, WEIGHTS, inputs=[checkpoint], force=force)
    weights = export_weights(read_checkpoint(checkpoint).build())
    with atomic_write(out) as temporary:  # Python writes, since it reports a full disk
        temporary.write_bytes(_as_bytes(weights, out.suffix))
    return len(weights)


def _as_bytes(weights: dict[str, Tensor], suffix: str) -> bytes:
    """The content of a file of weights in the format of its suffix."""
    if suffix == ".safetensors":
        return save(weights)
    buffer = io.BytesIO()
    torch.save(weights, buffer)
    return buffer.getvalue()


def read_class_names(path: Path) -> tuple[str, ...]:
    """The class names in a text file, one a line, in the order of the labels.

    Raises:
        WeightsError: The file cannot be read, or holds no name.
    """
    try:
        lines = read_whole(path, largest=_LARGEST_NAMES).decode("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise WeightsError(f"{path}: the class names cannot be read: {reason}") from None
    names = tuple(line.strip() for line in lines if line.strip())
    if not names:
        raise WeightsError(f"{path}: expected the name of a class on each line, found none")
    return names


def _recipe(spec: ModelSpec, stream: str | None, window: int | None, split: str | None) -> Recipe:
    """The family's recipe, adapted to these weights; no subject was held out."""
    known = {recipe.name for recipe in list_recipes()}
    changes = {
        "data.stream": stream,
        "data.window": window,
        "data.split": split and json.dumps(split),
        "data.validation_subjects": 0,
    }
    overrides = [f"{key}={value}" for key, value in changes.items() if value is not None]
    recipe = (
        load_recipe(spec.name, overrides)
        if spec.name in known
        else parse_recipe(f"name: {spec.name}\nmodel:\n  name: {spec.name}\n", overrides=overrides)
    )
    model = recipe.model.model_validate({"name": spec.name, **spec.options})
    return recipe.model_copy(update={"model": model, "protocol": Protocol.PAPER})


def _check_window(spec: ModelSpec, window: int) -> None:
    traits = get_card(spec.name).traits_with(spec.options)
    if not traits.takes(window):
        raise WeightsError(
            f"{spec.name}: expected a window of {traits.lengths} frames, found {window}"
        )


def _default_pipeline(spec: ModelSpec) -> str:
    if spec.layout.axes != ("x", "y", "z"):
        return _PLAIN
    return get_card(spec.name).pipeline


def _class_names(
    file: Path, spec: ModelSpec, dataset: str | None, given: Sequence[str] | None
) -> tuple[str, ...]:
    """One name for each class of the weights."""
    if given is None and dataset is None:
        # Poses in the image of a data set that PYSKL passes on have another layout than its own.
        cards = [
            card
            for card in list_datasets()
            if not card.untrimmed and (card.layout == spec.layout.name or "pyskl" in card.also_as)
        ]
        fitting = [card.name for card in cards if len(card.classes) == spec.num_classes]
        if not fitting:
            by_themselves = ", ".join(card.name for card in cards)
            raise WeightsError(
                f"{file}: {spec.num_classes} classes; name them in a file, one a line, by"
                f" --classes FILE (by themselves come those of {by_themselves})"
            )
        dataset = fitting[0]
    if given is None:
        try:
            given = get_dataset(str(dataset)).classes
        except SourceError as error:
            raise WeightsError(str(error)) from None
    if len(given) != spec.num_classes:
        raise WeightsError(
            f"{file}: expected {spec.num_classes} class names, as many as the weights tell apart,"
            f" found {len(given)}"
        )
    return tuple(given)


def _kind_of(classes: tuple[str, ...]) -> str:
    """The kind of the data set that has these classes."""
    kinds = [card.kind for card in list_datasets() if card.classes == classes]
    return kinds[0] if kinds else _UNNAMED
