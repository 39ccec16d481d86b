"""The ladder of guesses of the next action, against published counts and by hand."""

from pathlib import Path

import numpy as np
import pytest
from shared_data import shared_data

from skelab.data.datasets import parse_split
from skelab.data.segments import SegmentTable, read_segments
from skelab.errors import ScoresError
from skelab.evaluation import (
    FollowerTable,
    Guess,
    NextQuestions,
    guess_ladder,
    known_orders,
    next_figures,
    rank_classes,
)

ORDERS = [(0, 1, 2), (0, 1, 3), (0, 1, 3), (2, 1, 0)]


def ladder_of(table: SegmentTable, train: np.ndarray, test: np.ndarray) -> dict[Guess, float]:
    orders = [tuple(segment.label for segment in each.segments) for each in table.recordings]
    followers = FollowerTable([orders[row] for row in train], len(table.classes))
    asked = NextQuestions.of([orders[row] for row in test])
    return {g: round(100 * each.top1, 1) for g, each in guess_ladder(followers, asked).items()}


def test_a_guess_takes_the_longest_known_past_and_the_smaller_label_of_a_tie() -> None:
    table = FollowerTable(ORDERS, 5)

    first = {guess: table.ranking((0, 1), guess)[0] for guess in Guess}
    unknown = table.ranking((4, 1), Guess.HISTORY)

    assert first[Guess.MAJORITY] == 1
    assert first[Guess.LAST] == first[Guess.HISTORY] == 3
    assert unknown[:2] == (3, 0)  # falls back to what follows 1: 3 twice, then 0 and 2
    assert table.ranking((2, 1), Guess.TWO_LAST)[0] == 0


def test_no_repeat_puts_earlier_actions_last() -> None:
    table = FollowerTable(ORDERS, 5)

    ranked = table.ranking((3, 0, 1), Guess.HISTORY_NO_REPEAT)
    shares = table.probabilities((3, 0, 1), Guess.HISTORY_NO_REPEAT)

    assert set(ranked[2:]) == {0, 1, 3}
    assert shares.sum() == pytest.approx(1)
    assert shares[[0, 1, 3]].max() < 0.001
    assert shares.min() > 0


def test_probabilities_are_those_of_witten_and_bell() -> None:
    table = FollowerTable([(0, 1), (0, 1), (0, 2)], 4)

    shares = table.probabilities((0,), Guess.LAST)

    lower = (np.array([0, 2, 1, 0]) + 2 * 0.25) / 5
    assert shares == pytest.approx((np.array([0, 2, 1, 0]) + 2 * lower) / 5)


def test_figures_count_ranks_classes_and_the_loss() -> None:
    shares = np.array([[0.7, 0.2, 0.1, 0], [0.1, 0.2, 0.3, 0.4], [0.4, 0.3, 0.2, 0.1]])

    found = next_figures(np.array([0, 0, 3]), rank_classes(shares), shares, np.array([0, 0, 1]))

    assert (found.count, found.top1, found.top3, found.top5) == (3, 1 / 3, 1 / 3, 1.0)
    assert found.mean_class == pytest.approx(0.25)
    assert found.log_loss == pytest.approx(-np.log([0.7, 0.1, 0.1]).mean())
    assert found.top1_interval[0] <= found.top1 <= found.top1_interval[1]


def test_orders_are_known_if_training_has_the_whole_of_them() -> None:
    assert known_orders(ORDERS, [(0, 1, 2), (0, 1), (1, 0, 2)]).tolist() == [True, False, False]


@pytest.mark.parametrize(
    ("orders", "message"),
    [
        ([(1,), ()], "expected training sequences of two actions or more, found none"),
        ([(1, 7)], "expected labels from 0 to 3, found 1 to 7"),
    ],
)
def test_training_without_transitions_or_with_foreign_labels_is_refused(
    orders: list[tuple[int, ...]], message: str
) -> None:
    with pytest.raises(ScoresError, match=message):
        FollowerTable(orders, 4)


def test_no_question_is_refused() -> None:
    table = FollowerTable(ORDERS, 4)

    with pytest.raises(ScoresError, match="expected at least one question, found none"):
        guess_ladder(table, NextQuestions.of([(1,)]))


def test_the_ladder_on_the_labels_of_pku_mmd_is_the_published_one() -> None:
    table = read_segments(shared_data("pku-mmd-labels", "V1_Label.zip"))

    found = ladder_of(table, *parse_split("pku-xsub").rows(table.index))

    assert list(found.values()) == [5.6, 11.7, 12.8, 11.7, 11.0, 13.5]


@pytest.mark.parametrize(
    ("column", "expected"), [("subjects", (25.0, 68.8, 87.5)), ("scripts", (12.5, 18.8, 18.8))]
)
def test_the_ladder_on_precog_is_the_published_one(
    column: str, expected: tuple[float, ...]
) -> None:
    table = read_segments(Path(shared_data("precog", "csv")))
    numbers = getattr(table.index, column)

    each = [
        ladder_of(table, np.flatnonzero(numbers != left), np.flatnonzero(numbers == left))
        for left in np.unique(numbers)
    ]

    means = {guess: np.mean([found[guess] for found in each]) for guess in Guess}
    shown = (means[Guess.MAJORITY], means[Guess.LAST], means[Guess.HISTORY])
    assert shown == pytest.approx(expected, abs=0.06)
