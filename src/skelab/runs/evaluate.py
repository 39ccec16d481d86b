"""Evaluates a trained network on a clip store: scores and report."""

import contextlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from jaxtyping import Int64
from numpy import ndarray

from skelab.data.clips.index import UNKNOWN
from skelab.data.clips.opened_clips import OpenedClips
from skelab.data.clips.store import StoreInfo
from skelab.data.datasets import check_split, find_datasets
from skelab.data.opened import check_trimmed
from skelab.errors import DataError, NetworkError, SplitError
from skelab.evaluation import Calibration, OutputScores, Scores, load_any_scores
from skelab.files.kinds import PAGE, SCORES
from skelab.files.output import check_output
from skelab.host.environment import describe_environment
from skelab.inference.engines import FASTEST
from skelab.inference.network import ONE_TEST_CLIP, ClipSampling, Network, open_network
from skelab.inference.places import chosen_checkpoint, files_of
from skelab.inference.spec import NetworkSpec
from skelab.recipes import Protocol, Recipe, parse_recipe
from skelab.report import Report, Section, clips_to_show, write_report
from skelab.runs.controls import FusionControls, measure_controls, open_side_cars_of
from skelab.runs.parts import choose_parts, describe_parts
from skelab.runs.progress import unfinished
from skelab.runs.transfer import origin_notes
from skelab.tasks import clips_of
from skelab.training.records import read_environment, read_history
from skelab.viewer import Scene, scene_of

_POSES_OF_A_REPORT: Final = 4000  # poses of the embedded clips; about 100 bytes each


@dataclass(frozen=True)
class EvaluationResult:
    """The result of an evaluation.

    Attributes:
        scores: Scores of the part, of the kind that the task gives.
        scores_file: Their file.
        report_file: The report.
        calibration: Effect of a temperature fitted on the validation part; None without
            scores of that part.
        unfinished: Note that the run has not finished, so the scores are of an early epoch; empty
            if it has.
        controls: A fused network beside skeletons alone, side-cars alone, and side-cars that were
            exchanged or removed; None for a network of skeletons alone.
    """

    scores: Scores | OutputScores
    scores_file: Path
    report_file: Path
    calibration: Calibration | None
    unfinished: str = ""
    controls: FusionControls | None = None


def evaluate_run(
    path: Path,
    store: OpenedClips,
    *,
    split: str | None = None,
    part: str = "test",
    engine: str | None = None,
    trust: bool = False,
    out: Path | None = None,
    test_clips: ClipSampling = ONE_TEST_CLIP,
    sections: tuple[Section, ...] = (),
    side_car: Path | None = None,
    on_scored: Callable[[int, int], None] | None = None,
) -> EvaluationResult:
    """Score one part of a split, and write scores and report.

    Args:
        path: A run folder, a checkpoint or an exported file.
        store: The clips; they must fit what the network was trained on.
        split: Protocol; None takes the recipe's.
        part: ``test``, ``validation`` or ``train``.
        engine: What computes the network; None takes the fastest that gives the same answer.
        trust: Open a ``.pt2`` file, which can run code of its maker.
        out: Folder for scores and report; None takes the run's folder, or that of the file.
        test_clips: Test clips of each clip, whose probabilities are averaged.
        sections: Further parts of the report.
        side_car: Side-cars of a fused network; None takes those of training.
        on_scored: Called with the clips that are done, and all clips.

    Raises:
        DataError: Several test clips are asked of a network whose window is not sampled.
        NetworkError: The network cannot be opened, belongs to other data, or does not say on which
            split it was trained.
        SplitError: The clips do not fit the split, the part is empty, or the network was trained on
            clips of it.
        SideCarError: The side-cars cannot be read or do not fit, or the controls of a fused network
            are missing.
        OutputError: The results cannot be written.
    """
    network = open_network(path, engine=engine or FASTEST, trust=trust)
    spec = network.spec
    store = clips_of(network.task, store, spec.inputs.feeder)
    spec.check_store(store.info, store.path, str(path))
    side_cars = open_side_cars_of(network, recipe_of(network, split), store, side_car)
    if side_cars is not None:
        network = network.with_side_cars(side_cars)
    trained, recipe, rows = recipes_and_rows(
        network, store, split, part, needs_labels=network.task.needs_labels
    )
    folder = out or (path if path.is_dir() else path.parent)
    scores_file, report_file = _result_files(folder, part, None if recipe == trained else split)
    inputs = (*read_files(path), store.path)
    check_output(scores_file, SCORES, inputs=inputs, force=True)  # older results are replaced
    check_output(report_file, PAGE, inputs=inputs, force=True)
    scores = network.scores(
        store,
        rows,
        split=recipe.data.split,
        part=part,
        batch_size=recipe.training.batch_size,
        test_clips=test_clips,
        on_scored=on_scored,
    )
    controls = None
    if side_cars is not None and isinstance(scores, Scores):
        controls = measure_controls(path, network, side_cars, store, rows, scores)
        controls.save(scores_file.with_name(f"{scores_file.stem}-controls.json"))
        sections = (controls.section(), *sections)
    scores.save(scores_file)
    run = path if path.is_dir() else None
    early = unfinished(run) if run else ""
    report = Report(
        title=f"{recipe.model.name} on {dataset_title(store.info)}, {recipe.data.split} {part}",
        scores=scores,
        history=_counted_from_one(read_history(run)) if run else (),
        recipe=trained.to_yaml() if spec.recipe else "",
        environment=_environment(run),
        notes=[
            *([f"{early}."] if early else []),
            *_test_clip_notes(test_clips),
            *_notes(trained, recipe, store, spec),
        ],
        validation=_saved_validation(run, scores, part) if recipe == trained else None,
        chosen_epoch=spec.epoch or None,
        sections=sections,
        clips=_confused_clips(scores, store),
        clips_source=store.path.name,
    )
    write_report(report_file, report)
    return EvaluationResult(scores, scores_file, report_file, report.calibration, early, controls)


def recipes_and_rows(
    network: Network, store: OpenedClips, split: str | None, part: str, *, needs_labels: bool
) -> tuple[Recipe, Recipe, Int64[ndarray, " N"]]:
    """The recipe that trained a network, the same with another split, and the rows of a part.

    Args:
        network: The network.
        store: The clips.
        split: Protocol; None takes the recipe's.
        part: ``test``, ``validation`` or ``train``.
        needs_labels: Whether every clip must have a label.

    Raises:
        NetworkError: The network does not say on which split it was trained.
        SplitError: The clips do not fit the split, the part is empty, or the network was trained on
            clips of it.
    """
    if split is not None:
        check_split(split, store.info.dataset, store.index, store.path, option="--split ")
    trained = recipe_of(network, split)
    recipe = trained if split is None else with_split(trained, split)
    rows = rows_of(part, recipe, store, needs_labels=needs_labels)
    if recipe != trained and network.spec.knows_training_part:
        refuse_known_clips(trained, recipe, store, rows, network.path)
    return trained, recipe, rows


def _test_clip_notes(test_clips: ClipSampling) -> list[str]:
    if test_clips == ONE_TEST_CLIP:
        return []
    mirrored = " and their mirror images" if test_clips.mirrored else ""
    return [f"Mean of the probabilities of {test_clips.clips} test clips{mirrored} of each clip."]


def _confused_clips(scores: Scores | OutputScores, store: OpenedClips) -> Mapping[str, Scene]:
    """Misclassified clips to embed in the page, as many as fit."""
    if not isinstance(scores, Scores):
        return {}
    info, rows = store.info, store.index.rows_by_name
    scenes: dict[str, Scene] = {}
    room = _POSES_OF_A_REPORT
    for name in clips_to_show(scores):
        clip = store.clip(rows[name])
        room -= clip.num_bodies * clip.num_frames
        if room < 0:
            break
        with contextlib.suppress(DataError):  # a clip without a body
            scenes[name] = scene_of(
                name, info.layout, clip=clip, pipeline=info.pipeline, units=info.units
            )
    return scenes


def with_split(recipe: Recipe, split: str) -> Recipe:
    """The recipe with another split."""
    data = recipe.data.model_copy(update={"split": split})
    return recipe.model_copy(update={"data": data})


def recipe_of(network: Network, split: str | None = None) -> Recipe:
    """The recipe that a network was trained with.

    Files exported before recipes were stored in them get one that holds no more than
    their description does, with the split that is given.

    Raises:
        NetworkError: Neither the network nor the caller says which split.
    """
    spec = network.spec
    if spec.recipe:
        return parse_recipe(spec.recipe, where=f"{network.path}, its recipe")
    if split is None:
        raise NetworkError(
            f"{network.path}: does not say on which split it was trained, since an older version"
            " wrote it; --split NAME says which, say --split xsub"
        )
    return Recipe.model_validate(
        {
            "name": spec.model.name,
            "model": {"name": spec.model.name},
            "data": {**spec.inputs.feeder.model_dump(), "split": split},
            "protocol": spec.protocol,
        }
    )


def _result_files(folder: Path, part: str, split: str | None) -> tuple[Path, Path]:
    """Files of scores and report; other splits than the run's own have their own names."""
    named = "" if split is None else "-" + re.sub(r"[^\w.,-]+", "_", split)
    report = "report" if part == "test" else f"report-{part}"
    return folder / f"scores-{part}{named}.npz", folder / f"{report}{named}.html"


def refuse_known_clips(
    trained: Recipe, recipe: Recipe, store: OpenedClips, rows: Int64[ndarray, " N"], where: Path
) -> None:
    """Refuse an evaluation on clips that the network was trained on.

    Raises:
        SplitError: Some of the rows are among them.
    """
    try:
        own = choose_parts(trained, store)
    except SplitError:
        return  # other clips, to which its split does not apply
    seen = np.concatenate([own.train, own.validation])
    if trained.protocol is Protocol.PAPER:
        seen = own.train
    known = np.intersect1d(rows, seen)
    if len(known):
        raise SplitError(
            f"{where}: {len(known):,} of {len(rows):,} clips of split {recipe.data.split} are among"
            f" those that the network was trained on (split {trained.data.split}), the first"
            f" {store.index.names[known[0]]!r}: accuracy on them would be no test; evaluate on"
            f" split {trained.data.split}, or train with --set data.split={recipe.data.split}"
        )


def read_files(path: Path) -> tuple[Path, ...]:
    """The files that a network is read from."""
    return (chosen_checkpoint(path),) if path.is_dir() else files_of(path)


def rows_of(
    part: str, recipe: Recipe, store: OpenedClips, *, needs_labels: bool
) -> Int64[ndarray, " N"]:
    """The rows of a part of the recipe's split.

    Raises:
        SplitError: The clips do not fit the split, the part is empty, or clips have no label.
    """
    if needs_labels:
        check_trimmed(store)
    rows: Int64[ndarray, " N"] = getattr(choose_parts(recipe, store), part)
    if not len(rows):
        raise SplitError(f"split {recipe.data.split}: the {part} part of this recipe is empty")
    unlabelled = np.flatnonzero(store.index.labels[rows] == UNKNOWN)
    if needs_labels and len(unlabelled):
        raise SplitError(
            f"{store.path}: {len(unlabelled)} clips of the {part} part have no label, the first is"
            f" {store.index.names[rows[unlabelled[0]]]!r}"
        )
    return rows


def dataset_title(info: StoreInfo) -> str:
    """The title of the data set of some clips; data sets of one kind are told apart by classes."""
    titles = [
        card.title
        for card in find_datasets(info.dataset)
        if info.classes == card.classes[: len(info.classes)]
    ]
    return titles[0] if titles else info.title or info.dataset


def _environment(run: Path | None) -> Mapping[str, Any]:
    """The recorded environment of the run, or else the current one."""
    return (read_environment(run) if run else {}) or describe_environment()


def _counted_from_one(records: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Records with epochs counted from 1; the files count from 0."""
    return [{**record, "epoch": record["epoch"] + 1} for record in records]


def _notes(trained: Recipe, recipe: Recipe, store: OpenedClips, spec: NetworkSpec) -> list[str]:
    """Lines about the training split, and the evaluated split if it differs."""
    notes = [f"Preprocessing {store.info.pipeline}."]
    same_store = store.info.digest == spec.inputs.digest
    if same_store and spec.recipe:
        parts = describe_parts(trained, store, choose_parts(trained, store))
        notes.append("The clips come from the store that the network was trained on.")
        notes.append(f"Trained on {parts}.")
    if recipe != trained or not (same_store and spec.recipe):
        test = choose_parts(recipe, store).test
        notes.append(f"Evaluated on split {recipe.data.split}, test {len(test):,} clips.")
    if spec.training_note:
        notes.append(spec.training_note)
    notes += origin_notes(spec.origin)
    if store.info.excluded:
        notes.append(f"{len(store.info.excluded):,} samples were left out of the store.")
    return notes


def _saved_validation(
    run: Path | None, scores: Scores | OutputScores, part: str
) -> Scores | OutputScores | None:
    file = run / "scores-validation.npz" if run else None
    if part != "test" or file is None or not file.is_file():
        return None
    saved = load_any_scores(file)
    return saved if saved.info.checkpoint == scores.info.checkpoint else None
