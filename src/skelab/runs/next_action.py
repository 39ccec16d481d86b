"""The next action: what labels alone give, and what a trained network gives beside it."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from jaxtyping import Float64, Int64
from numpy import ndarray

from skelab.data.clips.index import UNKNOWN, ClipIndex
from skelab.data.clips.opened_clips import OpenedClips
from skelab.data.datasets import check_split, parse_split
from skelab.data.segments import SegmentTable
from skelab.errors import DataError, NetworkError, SplitError
from skelab.evaluation import (
    FollowerTable,
    Guess,
    NextFigures,
    NextQuestions,
    Order,
    Scores,
    guess_ladder,
    known_orders,
    next_figures,
    rank_classes,
    softmax,
)
from skelab.files.atomic import atomic_write
from skelab.files.kinds import PAGE
from skelab.files.output import check_output
from skelab.inference.network import open_network
from skelab.report import NextBlock, write_next_page
from skelab.runs.detect import recognised_before
from skelab.runs.evaluate import read_files
from skelab.runs.sequences import SequenceRun, open_sequence_run
from skelab.tasks import NextActionTask

OnScored = Callable[[int, int], None]
LABELS: Final = "labels"
"""Value of ``history``: the true labels of earlier actions."""

_FORMAT: Final = 1


@dataclass(frozen=True)
class NextActions:
    """Next actions of the sequences of a part of a split.

    Attributes:
        title: What was asked, and of whom.
        blocks: Figures by kind of sequence: known or unseen people, known or unseen order.
        synthetic: Whether the sequences are synthetic.
        report_file: The page; None for labels alone.
        figures_file: The figures as JSON; None for labels alone.
    """

    title: str
    blocks: tuple[NextBlock, ...]
    synthetic: bool = False
    report_file: Path | None = None
    figures_file: Path | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers, texts, lists and dicts."""
        files = {"report": self.report_file, "figures": self.figures_file}
        return {
            "format": _FORMAT,
            "title": self.title,
            "synthetic": self.synthetic,
            "blocks": [block.to_dict() for block in self.blocks],
            "files": {name: str(path) for name, path in files.items() if path},
        }


def guess_next(table: SegmentTable, split: str, where: Path) -> NextActions:
    """What labels alone tell of the next action, on the test part of a split.

    Args:
        table: The labels.
        split: The split.
        where: Where they come from, for messages.

    Raises:
        SplitError: The split does not fit, or its test shows recordings of training from another
            camera.
    """
    check_split(split, table.dataset, table.index, where, option="--split ")
    refuse_same_recordings(split, where)
    train, test = parse_split(split).rows(table.index)
    orders = [tuple(segment.label for segment in each.segments) for each in table.recordings]
    blocks = _blocks(table.index, orders, train, test, len(table.classes), {})
    return NextActions(f"next action in {table.dataset}, {split}", blocks, table.synthetic)


def predict_next(
    path: Path,
    store: OpenedClips,
    *,
    split: str | None = None,
    part: str = "test",
    history: str | None = None,
    out: Path | None = None,
    on_scored: OnScored | None = None,
) -> NextActions:
    """What a network tells of the next action at its horizons, beside what labels alone give.

    With a history a second row multiplies the network's probabilities by those that follow from
    earlier actions, divided by how often each action comes next at all.

    Args:
        path: A run folder, checkpoint or exported file of the task ``next-action``.
        store: The sequences.
        split: Protocol; None takes the recipe's.
        part: ``test``, ``validation`` or ``train``.
        history: ``labels`` for the true earlier actions, or the run of a network of the task
            ``detection``, which recognises them; None for no history.
        out: Folder for page and figures; None takes the run's.
        on_scored: Called with the windows that are done, and all.

    Raises:
        NetworkError: The network is of another task.
        DataError: There is no sequence with segments.
        SplitError: The split does not fit, or shows recordings of training from another camera.
        OutputError: The results cannot be written.
    """
    network = open_network(path)
    run = open_sequence_run(network, store, task=NextActionTask.name, split=split, part=part)
    refuse_same_recordings(run.recipe.data.split, path)
    folder = out or (path if path.is_dir() else path.parent)
    page, file = folder / f"next-{part}.html", folder / f"next-{part}.json"
    check_output(page, PAGE, inputs=(*read_files(path), store.path), force=True)
    scores = network.scores(
        run.windows,
        run.test_windows,
        split=run.recipe.data.split,
        part=part,
        batch_size=run.recipe.training.batch_size,
        on_scored=on_scored,
    )
    if not isinstance(scores, Scores):
        raise NetworkError(f"{path}: its task gives no classes")
    asked = _Asked.of(run)
    answers = {run.recipe.model.name: softmax(scores.logits)}
    if history is not None:
        pasts = asked.true_pasts if history == LABELS else _recognised(history, run, asked)
        name = "true history" if history == LABELS else "recognised history"
        own = answers[run.recipe.model.name]
        table = FollowerTable(run.orders(run.train), own.shape[1])
        answers[f"{run.recipe.model.name} and {name}"] = with_history(own, table, pasts)
        if history != LABELS:  # what the true history gives stands among the guesses
            answers[name] = np.stack([table.probabilities(past, Guess.HISTORY) for past in pasts])
    every = list(range(len(store)))
    orders = [tuple(segment.label for segment in run.segments.get(row, ())) for row in every]
    blocks = _blocks(
        store.index, orders, run.train, run.test, len(store.info.classes), answers, asked
    )
    title = f"next action: {run.title} {part}"
    synthetic = store.info.synthetic or network.spec.synthetic
    made = NextActions(title, blocks, synthetic, page, file)
    folder.mkdir(parents=True, exist_ok=True)
    with atomic_write(file) as temporary:
        text = json.dumps(made.to_dict(), indent=1, allow_nan=False)
        temporary.write_text(text + "\n", encoding="utf-8")
    write_next_page(page, title, blocks, synthetic=synthetic)
    return made


def refuse_same_recordings(split: str, where: Path) -> None:
    """Refuse a split by camera: the order of its test is that of training recordings.

    Raises:
        SplitError: The split goes by camera.
    """
    if parse_split(split).by == "camera":
        raise SplitError(
            f"{where}: split {split} shows the recordings of training from another camera, so that"
            " the next action is known by heart (history alone: 91.2 % on PKU-MMD); expected a"
            " split by subject or script, say pku-xsub"
        )


def with_history(
    shares: Float64[ndarray, "N K"], table: FollowerTable, pasts: Sequence[Order]
) -> Float64[ndarray, "N K"]:
    """Probabilities of a network and of the history, as if independent given the next action."""
    prior = table.probabilities((), Guess.MAJORITY)
    history = np.stack([table.probabilities(past, Guess.HISTORY) for past in pasts])
    joined = shares * history / prior
    return np.asarray(joined / joined.sum(axis=1, keepdims=True), dtype=np.float64)


@dataclass(frozen=True)
class _Asked:
    """What each window asks.

    Attributes:
        rows: The sequence.
        labels: What comes next.
        horizons: Frames from its start to the cut.
        ends: The cut.
        true_pasts: The actions before it.
        starts: Where it starts.
    """

    rows: Int64[ndarray, " N"]
    labels: Int64[ndarray, " N"]
    horizons: Int64[ndarray, " N"]
    ends: Int64[ndarray, " N"]
    true_pasts: tuple[Order, ...]
    starts: Int64[ndarray, " N"]

    @classmethod
    def of(cls, run: SequenceRun) -> "_Asked":
        task = run.network.task
        if not isinstance(task, NextActionTask):
            raise DataError(f"{run.network.path}: expected the task {NextActionTask.name}")
        count = len(run.store.info.classes)
        rows, labels, horizons, ends, pasts = [], [], [], [], []
        for number in run.test_windows.tolist():
            window = run.windows.windows[number]
            place, label = divmod(window.label, count)
            start = window.end - task.horizons[place]
            rows.append(window.row)
            labels.append(label)
            horizons.append(task.horizons[place])
            ends.append(window.end)
            segments = run.segments[window.row]
            pasts.append(tuple(each.label for each in segments if each.start < start))
        cuts, offsets = np.array(ends, dtype=np.int64), np.array(horizons, dtype=np.int64)
        return cls(
            rows=np.array(rows, dtype=np.int64),
            labels=np.array(labels, dtype=np.int64),
            horizons=offsets,
            ends=cuts,
            true_pasts=tuple(pasts),
            starts=cuts - offsets,
        )


def _recognised(history: str, run: SequenceRun, asked: _Asked) -> tuple[Order, ...]:
    """The actions that a detector has found by the cut and before the next action starts."""
    path = Path(history)
    if not path.exists():
        raise NetworkError(
            f"{history}: expected {LABELS}, or the run of a network of the task detection, found"
            " neither"
        )
    found = recognised_before(path, run.store, run.test)
    return tuple(
        tuple(each.label for each in found[row] if each.start < min(end, start))
        for row, end, start in zip(
            asked.rows.tolist(), asked.ends.tolist(), asked.starts.tolist(), strict=True
        )
    )


def _blocks(
    index: ClipIndex,
    orders: Sequence[Order],
    train: Int64[ndarray, " A"],
    test: Int64[ndarray, " B"],
    num_classes: int,
    answers: Mapping[str, Float64[ndarray, "N K"]],
    asked: _Asked | None = None,
) -> tuple[NextBlock, ...]:
    """Figures by kind of sequence; kinds that do not occur are left out."""
    known = [orders[row] for row in train.tolist()]
    table = FollowerTable(known, num_classes)
    named = not (index.subjects[np.concatenate([train, test])] == UNKNOWN).any()
    people = set(index.subjects[train].tolist())
    old_order = known_orders(known, [orders[row] for row in test.tolist()])
    old_person = np.array([index.subjects[row] in people for row in test.tolist()], dtype=np.bool_)
    blocks = []
    for new_people in (True, False):
        for new_order in (False, True):
            rows = test[(old_order != new_order) & (old_person != new_people)]
            questions = NextQuestions.of([orders[row] for row in rows.tolist()])
            if not len(questions.labels):
                continue
            ladder = guess_ladder(table, questions)
            networks = {
                name: _by_horizon(shares, asked, rows)
                for name, shares in answers.items()
                if asked is not None
            }
            blocks.append(
                NextBlock(new_people if named else None, new_order, len(rows), ladder, networks)
            )
    return tuple(blocks)


def _by_horizon(
    shares: Float64[ndarray, "N K"], asked: _Asked, rows: Int64[ndarray, " R"]
) -> dict[int, NextFigures]:
    own = np.isin(asked.rows, rows)
    found = {}
    for horizon in np.unique(asked.horizons[own]).tolist():
        chosen = own & (asked.horizons == horizon)
        found[horizon] = next_figures(
            asked.labels[chosen],
            rank_classes(shares[chosen]),
            shares[chosen],
            asked.rows[chosen],
        )
    return found
