"""A trained network and a clip store become scores and a report."""

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
from skelab.inference.network import ONE_TEST_CLIP, ClipSampling, Network, open_network
from skelab.inference.places import chosen_checkpoint, files_of
from skelab.inference.spec import NetworkSpec
from skelab.recipes import Protocol, Recipe, parse_recipe
from skelab.report import Report, Section, clips_to_show, write_report
from skelab.runs.parts import choose_parts, describe_parts
from skelab.runs.progress import unfinished
from skelab.runs.transfer import origin_notes
from skelab.training.records import read_environment, read_history
from skelab.viewer import Scene, scene_of

_POSES_OF_A_REPORT: Final = 4000  # of the clips that its page holds; about 100 bytes each


@dataclass(frozen=True)
class EvaluationResult:
    """What an evaluation made.

    Attributes:
        scores: Scores of the part, of the kind that the task gives.
        scores_file: Where they are kept.
        report_file: The report.
        calibration: What a temperature fitted on the validation part would do; None without
            scores of that part.
        unfinished: That the run has not ended, so that these are scores of an early epoch; empty
            if it has.
    """

    scores: Scores | OutputScores
    scores_file: Path
    report_file: Path
    calibration: Calibration | None
    unfinished: str = ""


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
    on_scored: Callable[[int, int], None] | None = None,
) -> EvaluationResult:
    """Score one part of a split, and write scores and report.

    Args:
        path: A run folder, a checkpoint or an exported file.
        store: The clips; they must fit what the network was trained on.
        split: Protocol; None takes the recipe's.
        part: ``test``, ``validation`` or ``train``.
        engine: What computes the network; None takes what the kind of file prefers.
        trust: Open a ``.pt2`` file, which can run code of its maker.
        out: Folder for scores and report; None takes the run's folder, or that of the file.
        test_clips: Test clips of each clip, whose probabilities are averaged.
        sections: Further parts of the report.
        on_scored: Called with the clips that are done, and all clips.

    Raises:
        DataError: Several test clips are asked of a network whose window is not sampled.
        NetworkError: The network cannot be opened, belongs to other data, or does not say on which
            split it was trained.
        SplitError: The clips do not fit the split, the part is empty, or the network was trained on
            clips of it.
        OutputError: The results cannot be written.
    """
    network = open_network(path, engine=engine, trust=trust)
    spec = network.spec
    spec.check_store(store.info, store.path, str(path))
    if split is not None:
        check_split(split, store.info.dataset, store.index, store.path, option="--split ")
    trained = recipe_of(network, split)
    recipe = trained if split is None else with_split(trained, split)
    rows = rows_of(part, recipe, store, needs_labels=network.task.needs_labels)
    if recipe != trained and spec.epoch:  # of imported weights nobody knows what trained them
        refuse_known_clips(trained, recipe, store, rows, path)
    folder = out or (path if path.is_dir() else path.parent)
    scores_file, report_file = _result_files(folder, part, None if recipe == trained else split)
    for made, kind in ((scores_file, SCORES), (report_file, PAGE)):  # older ones are replaced
        check_output(made, kind, inputs=(*read_files(path), store.path), force=True)
    scores = network.scores(
        store,
        rows,
        split=recipe.data.split,
        part=part,
        batch_size=recipe.training.batch_size,
        test_clips=test_clips,
        on_scored=on_scored,
    )
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
    return EvaluationResult(scores, scores_file, report_file, report.calibration, early)


def _test_clip_notes(test_clips: ClipSampling) -> list[str]:
    if test_clips == ONE_TEST_CLIP:
        return []
    mirrored = " and their mirror images" if test_clips.mirrored else ""
    return [f"Mean of the probabilities of {test_clips.clips} test clips{mirrored} of each clip."]


def _confused_clips(scores: Scores | OutputScores, store: OpenedClips) -> Mapping[str, Scene]:
    """Clips that were taken for another class, for the page to show, as many as it can hold."""
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
        with contextlib.suppress(DataError):  # nobody is in it
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

    Files that were exported before recipes were written into them get one that says no more than
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
    """Where scores and report go; results of another split than the run's own stand beside its."""
    named = "" if split is None else "-" + re.sub(r"[^\w.,-]+", "_", split)
    report = "report" if part == "test" else f"report-{part}"
    return folder / f"scores-{part}{named}.npz", folder / f"{report}{named}.html"


def refuse_known_clips(
    trained: Recipe, recipe: Recipe, store: OpenedClips, rows: Int64[ndarray, " N"], where: Path
) -> None:
    """Refuse to call clips a test that the network's own split has it train on.

    Raises:
        SplitError: Some of the rows are among them.
    """
    try:
        own = choose_parts(trained, store)
    except SplitError:
        return  # of other clips, which its split says nothing of
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
    """What people call the data set of some clips: of those that share a kind, by their classes."""
    titles = [
        card.title
        for card in find_datasets(info.dataset)
        if info.classes == card.classes[: len(info.classes)]
    ]
    return titles[0] if titles else info.dataset


def _environment(run: Path | None) -> Mapping[str, Any]:
    """What the run was trained with, as it was written down then; else what is here now."""
    return (read_environment(run) if run else {}) or describe_environment()


def _counted_from_one(records: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Records as people count epochs; the files count from 0."""
    return [{**record, "epoch": record["epoch"] + 1} for record in records]


def _notes(trained: Recipe, recipe: Recipe, store: OpenedClips, spec: NetworkSpec) -> list[str]:
    """What was trained, by the run's own split, and what was tested, if that is another."""
    notes = [f"Preprocessing {store.info.pipeline}."]
    same_store = store.info.digest == spec.inputs.digest
    if same_store and spec.recipe:
        parts = describe_parts(trained, store, choose_parts(trained, store))
        notes.append("The clips come from the store that the network was trained on.")
        notes.append(f"Trained on {parts}.")
    if recipe != trained or not (same_store and spec.recipe):
        test = choose_parts(recipe, store).test
        notes.append(f"Evaluated on split {recipe.data.split}, test {len(test):,} clips.")
    if not spec.epoch:
        notes.append("Training part unknown: the weights do not say on which clips they learned.")
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
