"""A trained network and a clip store become scores and a report."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int64
from numpy import ndarray

from skelab.data.clips.index import UNKNOWN
from skelab.data.clips.splits import parse_split
from skelab.data.feeding.feeder import Feeder
from skelab.data.opened import OpenedClips
from skelab.data.preprocessing import get_pipeline
from skelab.errors import CheckpointError, SplitError
from skelab.evaluation import Calibration, Scores, ScoresInfo
from skelab.files.kinds import PAGE, SCORES
from skelab.files.output import check_output
from skelab.host.environment import describe_environment
from skelab.inference.checkpoint import Checkpoint, read_checkpoint
from skelab.inference.scoring import predict_logits
from skelab.recipes import Recipe, parse_recipe
from skelab.report import Report, Section, write_report
from skelab.runs.train import choose_parts
from skelab.training.history import read_history
from skelab.training.job import CHECKPOINTS, CHOSEN


@dataclass(frozen=True)
class EvaluationResult:
    """What an evaluation made.

    Attributes:
        scores: Scores of the part.
        scores_file: Where they are kept.
        report_file: The report.
        calibration: What a temperature fitted on the validation part would do; None without
            scores of that part.
    """

    scores: Scores
    scores_file: Path
    report_file: Path
    calibration: Calibration | None


def find_checkpoint(path: Path) -> Path:
    """The checkpoint that a path means: itself, or the one that a run folder has chosen.

    Raises:
        CheckpointError: There is neither.
    """
    if path.is_file():
        return path
    chosen = path / CHECKPOINTS / CHOSEN
    if chosen.is_file():
        return chosen
    raise CheckpointError(
        f"{path}: expected a run folder or a checkpoint, found"
        f" {'a folder without ' + str(Path(CHECKPOINTS) / CHOSEN) if path.is_dir() else 'nothing'};"
        " `skelab train` makes one"
    )


def evaluate_run(
    path: Path,
    store: OpenedClips,
    *,
    split: str | None = None,
    part: str = "test",
    out: Path | None = None,
    sections: tuple[Section, ...] = (),
    on_scored: Callable[[int, int], None] | None = None,
) -> EvaluationResult:
    """Score one part of a split, and write scores and report.

    Args:
        path: A run folder or a checkpoint.
        store: The clips; they must fit what the network was trained on.
        split: Protocol; None takes the recipe's.
        part: ``test``, ``validation`` or ``train``.
        out: Folder for scores and report; None takes the run's (or the checkpoint's) folder.
        sections: Further parts of the report.
        on_scored: Called with the clips that are done, and all clips.

    Raises:
        CheckpointError: There is no checkpoint, it is damaged, or it belongs to other data.
        SplitError: The clips do not fit the split, or the part is empty.
        OutputError: The results cannot be written.
    """
    file = find_checkpoint(path)
    checkpoint = read_checkpoint(file)
    check_fit(checkpoint, store, file)
    recipe = parse_recipe(checkpoint.recipe, where=f"{file}, its recipe")
    if split is not None:
        parse_split(split)
        data = recipe.data.model_copy(update={"split": split})
        recipe = recipe.model_copy(update={"data": data})
    folder = out or (path if path.is_dir() else file.parent)
    scores_file = folder / f"scores-{part}.npz"
    report_file = folder / ("report.html" if part == "test" else f"report-{part}.html")
    for made, kind in ((scores_file, SCORES), (report_file, PAGE)):  # older ones are replaced
        check_output(made, kind, inputs=(file, store.path), force=True)
    scores = score_checkpoint(checkpoint, store, recipe, part, on_scored=on_scored)
    scores.save(scores_file)
    run = path if path.is_dir() else None
    report = Report(
        title=f"{recipe.model.name} on {store.info.dataset}, {recipe.data.split} {part}",
        scores=scores,
        history=_counted_from_one(read_history(run)) if run else (),
        recipe=recipe.to_yaml(),
        environment=_environment(run),
        notes=_notes(recipe, store, checkpoint),
        validation=_saved_validation(run, scores, part),
        chosen_epoch=checkpoint.epoch or None,
        sections=sections,
    )
    write_report(report_file, report)
    return EvaluationResult(scores, scores_file, report_file, report.calibration)


def check_fit(checkpoint: Checkpoint, store: OpenedClips, where: Path) -> None:
    """Refuse clips that differ in kind from those that the network was trained on.

    Raises:
        CheckpointError: Layout, pipeline, units or classes differ; the message says how.
    """
    trained, found = checkpoint.inputs, store.info
    pairs = {
        "layout": (checkpoint.model.layout.name, found.layout.name),
        "joints": (checkpoint.model.layout.joints, found.layout.joints),
        "pipeline": (trained.pipeline, found.pipeline),
        "units": (trained.units, found.units),
        "number of classes": (len(trained.classes), len(found.classes)),
        "classes": (trained.classes, found.classes),
    }
    for name, (expected, actual) in pairs.items():
        if expected != actual:
            raise CheckpointError(
                f"{where}: was trained on {name} {_brief(expected)}, but {store.path} has"
                f" {_brief(actual)}"
            )


def score_checkpoint(
    checkpoint: Checkpoint,
    store: OpenedClips,
    recipe: Recipe,
    part: str,
    *,
    on_scored: Callable[[int, int], None] | None = None,
) -> Scores:
    """Scores of one part of the recipe's split.

    Raises:
        SplitError: The clips do not fit the split, or the part is empty or without labels.
    """
    rows = _rows_of(part, recipe, store)
    logits = predict_logits(
        checkpoint.build(),
        Feeder(
            checkpoint.inputs.feeder,
            store.info.layout,
            keeps_gaps=get_pipeline(store.info.pipeline).keeps_gaps,
        ),
        store,
        rows,
        max_bodies=checkpoint.model.max_bodies,
        batch_size=recipe.training.batch_size,
        on_scored=on_scored,
    )
    index = store.index.select(rows)
    columns = {"subject": index.subjects, "camera": index.cameras, "setup": index.setups}
    return Scores(
        names=index.names,
        labels=index.labels,
        logits=logits,
        classes=store.info.classes,
        info=ScoresInfo(
            dataset=store.info.dataset,
            split=recipe.data.split,
            part=part,
            protocol=checkpoint.protocol,
            model=checkpoint.model.name,
            stream=checkpoint.inputs.feeder.stream.value,
            checkpoint=checkpoint.digest,
            synthetic=store.info.synthetic or checkpoint.inputs.synthetic,
        ),
        groups={name: column for name, column in columns.items() if (column != UNKNOWN).any()},
    )


def _rows_of(part: str, recipe: Recipe, store: OpenedClips) -> Int64[ndarray, " N"]:
    rows: Int64[ndarray, " N"] = getattr(choose_parts(recipe, store), part)
    if not len(rows):
        raise SplitError(f"split {recipe.data.split}: the {part} part of this recipe is empty")
    unlabelled = np.flatnonzero(store.index.labels[rows] == UNKNOWN)
    if len(unlabelled):
        raise SplitError(
            f"{store.path}: {len(unlabelled)} clips of the {part} part have no label, the first is"
            f" {store.index.names[rows[unlabelled[0]]]!r}"
        )
    return rows


def _environment(run: Path | None) -> Mapping[str, Any]:
    """What the run was trained with, as it was written down then; else what is here now."""
    if run and (run / "environment.json").is_file():
        written: Mapping[str, Any] = json.loads((run / "environment.json").read_text())
        return written
    return describe_environment()


def _counted_from_one(records: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Records as people count epochs; the files count from 0."""
    return [{**record, "epoch": record["epoch"] + 1} for record in records]


def _notes(recipe: Recipe, store: OpenedClips, checkpoint: Checkpoint) -> list[str]:
    parts = choose_parts(recipe, store)
    notes = [
        f"{len(parts.train):,} clips trained, {len(parts.validation):,} validated,"
        f" {len(parts.test):,} test; preprocessing {store.info.pipeline}."
    ]
    if store.info.digest == checkpoint.inputs.digest:
        notes.append("The clips come from the store that the network was trained on.")
    if store.info.excluded:
        notes.append(f"{len(store.info.excluded):,} samples were left out of the store.")
    return notes


def _saved_validation(run: Path | None, scores: Scores, part: str) -> Scores | None:
    file = run / "scores-validation.npz" if run else None
    if part != "test" or file is None or not file.is_file():
        return None
    saved = Scores.load(file)
    return saved if saved.info.checkpoint == scores.info.checkpoint else None


def _brief(value: object) -> str:
    text = ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)
    return text if len(text) <= 80 else f"{text[:80]}…"
