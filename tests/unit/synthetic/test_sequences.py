"""Synthetic sequences: their grammar, what its best guess is worth, and the folder."""

import json
from collections import Counter
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from skelab.data.datasets import open_source
from skelab.data.segments import segments_of_source
from skelab.errors import DataError, OutputError
from skelab.synthetic import Grammar, synthetic_sequence, write_sequences
from skelab.synthetic.exact import Draws


def test_the_optimum_is_that_of_the_transitions() -> None:
    grammar = Grammar.of(6)

    assert grammar.transitions.sum(axis=1) == pytest.approx(1)
    assert grammar.transitions.sum(axis=0) == pytest.approx(1)  # all equally frequent
    assert not grammar.transitions.diagonal().any()
    assert grammar.best_top1 == pytest.approx(0.7)
    shares = np.array([0.7, 0.2, 0.1])
    assert grammar.best_log_loss == pytest.approx(-(shares * np.log(shares)).sum())


def test_orders_are_drawn_by_the_transitions() -> None:
    grammar = Grammar.of(6)
    order = grammar.draw(Draws(0, "test"), 4000)

    pairs = Counter((b - a) % 6 for a, b in pairwise(order))

    assert {step: count / 3999 for step, count in pairs.items()} == pytest.approx(
        {1: 0.7, 2: 0.2, 4: 0.1}, abs=0.03
    )


def test_no_frame_before_an_action_depends_on_which_one_it_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    grammar = Grammar.of(6)
    one = synthetic_sequence(3, grammar)
    order = [label for label, _, _ in one.segments]
    other = (*order[:3], (order[3] + 1) % 6, *order[4:])
    monkeypatch.setattr(Grammar, "draw", lambda self, draws, length: other)

    two = synthetic_sequence(3, grammar)

    start = one.segments[3][1]
    assert two.segments[:3] == one.segments[:3]
    cut = min(len(one.joints), len(two.joints))
    noise = 0.004 * 8
    assert np.abs(one.joints[:start] - two.joints[:start]).max() < noise
    assert np.abs(one.joints[start:cut] - two.joints[start:cut]).max() > noise


def test_the_same_seed_writes_the_same_bytes_and_another_one_others(tmp_path: Path) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        write_sequences(tmp_path / name, sequences=2, actions=5, seed=seed)

    contents = {
        name: {file.name: file.read_bytes() for file in sorted((tmp_path / name).iterdir())}
        for name in "abc"
    }
    assert contents["a"] == contents["b"]
    assert contents["a"]["seq0000.npy"] != contents["c"]["seq0000.npy"]


def test_the_folder_is_a_synthetic_data_set_with_segments_and_grammar(tmp_path: Path) -> None:
    done: list[int] = []

    write_sequences(tmp_path / "set", sequences=3, on_progress=done.append)

    source = open_source(tmp_path / "set")
    table = segments_of_source(source)
    told = json.loads((tmp_path / "set" / "grammar.json").read_text())
    assert done == [1, 2, 3]
    assert source.synthetic
    assert (len(table.recordings), table.num_segments) == (3, 21)
    assert table.index.subjects.tolist() == [1, 2, 3]
    assert told["best_top1"] == pytest.approx(0.7)
    assert list(table.classes) == told["classes"]


def test_a_folder_with_something_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")

    with pytest.raises(OutputError, match="expected a new or empty folder; choose another"):
        write_sequences(tmp_path, sequences=1)

    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


@pytest.mark.parametrize(
    ("sequences", "actions", "message"),
    [
        (0, 6, "expected at least one sequence and a seed from 0, found 0 and 0"),
        (1, 4, "actions: expected a number from 5 to 8 for sequences, found 4"),
        (1, 9, "actions: expected a number from 5 to 8 for sequences, found 9"),
    ],
)
def test_numbers_out_of_range_are_refused(
    tmp_path: Path, sequences: int, actions: int, message: str
) -> None:
    with pytest.raises(DataError, match=message):
        write_sequences(tmp_path / "set", sequences=sequences, actions=actions)
