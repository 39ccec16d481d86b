"""Prediction of the next action: figures, and the ladder of guesses from labels alone.

A guess knows the labels of earlier actions and no joint. Every figure of a network stands beside
the whole ladder: on sequences whose order occurs in training it is memory, and no anticipation.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

import numpy as np
from jaxtyping import Bool, Float64, Int64
from numpy import ndarray

from skelab.errors import ScoresError

Order = tuple[int, ...]
"""The labels of a sequence in the order of time."""

_DRAWS: Final = 2000
_CONFIDENCE: Final = 0.95
_FLOOR: Final = 1e-3


class Guess(StrEnum):
    """A predictor that sees labels only, from the least to the most informed.

    ``majority`` names the most frequent follower; ``last`` what follows the last action most often;
    ``two last`` and ``history`` go back two actions, and to the beginning, as far as training has
    seen it. ``no repeat`` excludes actions that the sequence had before.
    """

    MAJORITY = "majority"
    LAST = "last action"
    LAST_NO_REPEAT = "last action, no repeat"
    TWO_LAST = "two last actions"
    HISTORY = "history"
    HISTORY_NO_REPEAT = "history, no repeat"

    @property
    def depth(self) -> int | None:
        """Number of earlier actions that are looked at; None for all."""
        return {Guess.MAJORITY: 0, Guess.LAST: 1, Guess.LAST_NO_REPEAT: 1, Guess.TWO_LAST: 2}.get(
            self
        )

    @property
    def no_repeat(self) -> bool:
        """Whether earlier actions are excluded."""
        return self in (Guess.LAST_NO_REPEAT, Guess.HISTORY_NO_REPEAT)


class FollowerTable:
    """Which action follows which, counted in training sequences for every stretch of the past.

    Args:
        orders: The training sequences.
        num_classes: Number of classes, K.

    Raises:
        ScoresError: No training sequence has two actions, or a label is no class.
    """

    def __init__(self, orders: Sequence[Order], num_classes: int) -> None:
        self.num_classes = num_classes
        self._counts: dict[Order, Counter[int]] = defaultdict(Counter)
        for order in orders:
            if order and not 0 <= min(order) <= max(order) < num_classes:
                raise ScoresError(
                    f"next action: expected labels from 0 to {num_classes - 1}, found"
                    f" {min(order)} to {max(order)}"
                )
            for place in range(1, len(order)):
                for start in range(place + 1):
                    self._counts[order[start:place]][order[place]] += 1
        if not self._counts:
            raise ScoresError(
                "next action: expected training sequences of two actions or more, found none"
            )

    def ranking(self, past: Order, guess: Guess) -> tuple[int, ...]:
        """All classes, the most likely first.

        The followers of the longest known stretch of the past come first, by count, then those of
        shorter ones; the smaller label wins a tie. Excluded classes come last.
        """
        found: dict[int, None] = {}
        for stretch in self._stretches(past, guess):
            counts = self._counts[stretch]
            for label in sorted(counts, key=lambda each: (-counts[each], each)):
                found.setdefault(label)
        ranked = [*found, *(label for label in range(self.num_classes) if label not in found)]
        if not guess.no_repeat:
            return tuple(ranked)
        before = set(past)
        return tuple(sorted(ranked, key=lambda label: label in before))

    def probabilities(self, past: Order, guess: Guess) -> Float64[ndarray, " K"]:
        """The probability of each class, smoothed so that none is zero.

        A stretch of the past with n followers, m of them different, counts n parts against m parts
        of the next shorter one; the shortest falls back to all classes alike.

        Source: Witten and Bell, IEEE Transactions on Information Theory 37(4), 1991.
        """
        uniform = np.full(self.num_classes, 1 / self.num_classes)
        shares = uniform
        for stretch in reversed(self._stretches(past, guess)):
            counts = self._counts[stretch]
            own = np.zeros(self.num_classes)
            own[list(counts)] = list(counts.values())
            shares = (own + len(counts) * shares) / (own.sum() + len(counts))
        if guess.no_repeat:
            kept = shares.copy()
            kept[list(set(past))] = 0.0
            shares = (1 - _FLOOR) * kept / kept.sum() + _FLOOR * uniform if kept.any() else uniform
        return np.asarray(shares, dtype=np.float64)

    def _stretches(self, past: Order, guess: Guess) -> list[Order]:
        """The known stretches up to the end of the past, the longest first."""
        depth = len(past) if guess.depth is None else min(guess.depth, len(past))
        ends = [past[len(past) - length :] for length in range(depth, -1, -1)]
        return [stretch for stretch in ends if stretch in self._counts]


@dataclass(frozen=True)
class NextFigures:
    """How well the next action was told.

    Attributes:
        count: Number of questions.
        top1: Share of right answers, 0..1.
        top1_interval: Its 95 % interval by bootstrap over sequences.
        top3: Share of questions with the right class among the three likeliest.
        top5: The same among the five likeliest.
        mean_class: Mean over the classes that occur of their share of right answers.
        log_loss: Mean negative logarithm of the probability of the right class.
    """

    count: int
    top1: float
    top1_interval: tuple[float, float]
    top3: float
    top5: float
    mean_class: float
    log_loss: float

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers."""
        return {
            "count": self.count,
            "top1": self.top1,
            "top1_interval": list(self.top1_interval),
            "top3": self.top3,
            "top5": self.top5,
            "mean_class": self.mean_class,
            "log_loss": self.log_loss,
        }


def next_figures(
    labels: Int64[ndarray, " N"],
    rankings: Int64[ndarray, "N K"],
    probabilities: Float64[ndarray, "N K"],
    sequences: Int64[ndarray, " N"],
) -> NextFigures:
    """The figures of some answers.

    Args:
        labels: What came next.
        rankings: The classes by likelihood, the likeliest first.
        probabilities: The probability of each class.
        sequences: Number of the sequence of each question, for the interval.

    Raises:
        ScoresError: There is no question.
    """
    if not len(labels):
        raise ScoresError("next action: expected at least one question, found none")
    place = np.argmax(rankings == labels[:, None], axis=1)
    right = place == 0
    by_class = [float(right[labels == label].mean()) for label in np.unique(labels)]
    own = probabilities[np.arange(len(labels)), labels]
    return NextFigures(
        count=len(labels),
        top1=float(right.mean()),
        top1_interval=_interval(right, sequences),
        top3=float((place < 3).mean()),
        top5=float((place < 5).mean()),
        mean_class=math.fsum(by_class) / len(by_class),
        log_loss=float(-np.log(np.maximum(own, 1e-12)).mean()),
    )


def rank_classes(probabilities: Float64[ndarray, "N K"]) -> Int64[ndarray, "N K"]:
    """The classes by falling probability; the smaller label wins a tie."""
    return np.argsort(-probabilities, axis=1, kind="stable")


@dataclass(frozen=True)
class NextQuestions:
    """What is asked of some sequences: every action but the first of each.

    Attributes:
        labels: The next action.
        pasts: The actions before it.
        sequences: Number of the sequence, in the order of the sequences.
    """

    labels: Int64[ndarray, " N"]
    pasts: tuple[Order, ...]
    sequences: Int64[ndarray, " N"]

    @classmethod
    def of(cls, orders: Sequence[Order]) -> "NextQuestions":
        """The questions that sequences pose."""
        asked = [
            (order[place], order[:place], number)
            for number, order in enumerate(orders)
            for place in range(1, len(order))
        ]
        return cls(
            np.array([label for label, _, _ in asked], dtype=np.int64),
            tuple(past for _, past, _ in asked),
            np.array([number for _, _, number in asked], dtype=np.int64),
        )


def guess_ladder(table: FollowerTable, asked: NextQuestions) -> dict[Guess, NextFigures]:
    """The figures of every guess.

    Raises:
        ScoresError: There is no question.
    """
    found = {}
    for guess in Guess:
        rankings = np.array([table.ranking(past, guess) for past in asked.pasts], dtype=np.int64)
        shares = np.array([table.probabilities(past, guess) for past in asked.pasts])
        found[guess] = next_figures(
            asked.labels,
            rankings.reshape(-1, table.num_classes),
            shares.reshape(-1, table.num_classes),
            asked.sequences,
        )
    return found


def known_orders(train: Sequence[Order], test: Sequence[Order]) -> Bool[ndarray, " N"]:
    """Which test sequences have an order of actions that a training sequence has, too."""
    seen = set(train)
    return np.array([order in seen for order in test], dtype=np.bool_)


def _interval(right: Bool[ndarray, " N"], sequences: Int64[ndarray, " N"]) -> tuple[float, float]:
    """Bootstrap over sequences, with a fixed seed."""
    _, number = np.unique(sequences, return_inverse=True)
    hits = np.bincount(number, weights=right)
    totals = np.bincount(number)
    drawn = np.random.default_rng(0).integers(0, len(totals), (_DRAWS, len(totals)))
    means = hits[drawn].sum(axis=1) / totals[drawn].sum(axis=1)
    low, high = np.quantile(means, [(1 - _CONFIDENCE) / 2, (1 + _CONFIDENCE) / 2])
    return float(low), float(high)
