"""Validation by subject: who is held out of the training part to choose the epoch.

A subject number stands for one person in most data sets, for a pair in SBU. People are held out,
never numbers: a clip validates if everybody in it is held out, and trains if nobody in it is. A
clip of both, say of a pair of whom one is held out, is left out of either part.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import combinations
from math import comb
from typing import Final

import numpy as np
from jaxtyping import Bool, Float64, Int64
from numpy import ndarray

from skelab.data.clips.index import UNKNOWN, ClipIndex
from skelab.errors import SplitError

People = Callable[[int], tuple[int, ...]]
"""Tells the people who perform under a subject number."""

TOLERANCE: Final = 0.1
"""Relative deviation from the target share that is taken for none."""

_ALL: Final = 8192  # so many sets of people are all looked at; of more, a sample is
_SAMPLE: Final = 4096
_CHOICES: Final = 8  # so many sets are left to the seed, where there are as many


@dataclass(frozen=True)
class _Takes:
    """How many clips of each class each subject number has, and who performs under it.

    G subject numbers, P people, K classes.
    """

    people: Int64[ndarray, " P"]
    performs: Float64[ndarray, "G P"]
    per_class: Float64[ndarray, "G K"]
    sizes: Float64[ndarray, " G"]


def draw_subjects(
    index: ClipIndex,
    rows: Int64[ndarray, " A"],
    num_subjects: int,
    seed: int,
    *,
    people: People | None = None,
) -> tuple[int, ...]:
    """Draw the people who validate, so that every seed holds out about as much, of all classes.

    The target is that ``num_subjects`` of S people have that share of the clips. All sets of so
    many people are compared (of more than 8,192 sets, 4,096 that the seed draws):

    1. Sets that leave no clip to either part are dropped.
    2. Sets with the most classes that are in both parts stay. A class that only one person
       performs cannot be in both.
    3. Of these, sets whose share is within a tenth of the target stay (``TOLERANCE``). Where fewer
       than eight are, the nearest eight stay, but at most half of those that are left.
    4. The seed draws one of them.

    Args:
        index: The clips.
        rows: The training part.
        num_subjects: How many people, at least one.
        seed: Chance; the same seed on the same clips draws the same people.
        people: Who performs under a subject number; None where each is one person.

    Returns:
        The people, ascending.

    Raises:
        SplitError: The clips lack subjects, too few people would be left to train, or no clip
            is of held-out people alone.
    """
    takes = _count_takes(index, rows, people)
    _check_number(num_subjects, len(takes.people))
    random = np.random.default_rng(seed)
    chosen = _candidates(len(takes.people), num_subjects, random)  # C P
    hits = chosen @ takes.performs.T  # C G, held-out people in the clips of each number
    validates: Bool[ndarray, "C G"] = hits == takes.performs.sum(axis=1)
    trains: Bool[ndarray, "C G"] = hits == 0
    held_out = validates @ takes.sizes
    possible = np.flatnonzero((held_out > 0) & (trains @ takes.sizes > 0))
    if not len(possible):
        raise SplitError(
            f"{num_subjects} validation subjects were asked for, but no clip is of so many people"
            " alone while others are left to train; --set data.validation_subjects=N asks for"
            " another number"
        )
    in_both = (validates[possible] @ takes.per_class > 0) & (trains[possible] @ takes.per_class > 0)
    covered = in_both.sum(axis=1)
    best = possible[covered == covered.max()]
    # |share - target| / target, in whole numbers so that it is the same on every machine
    target = num_subjects * takes.sizes.sum()
    deviation = np.abs(held_out[best] * len(takes.people) - target)
    near = int((deviation <= TOLERANCE * target).sum())
    left = near if near >= _CHOICES else max(near, min(_CHOICES, (len(best) + 1) // 2))
    nearest = best[np.argsort(deviation, kind="stable")[:left]]
    drawn = chosen[nearest[int(random.random() * left)]]
    return tuple(takes.people[drawn > 0].tolist())


def draw_by_seed_alone(
    index: ClipIndex, rows: Int64[ndarray, " A"], num_subjects: int, seed: int
) -> tuple[int, ...]:
    """Draw subject numbers without a look at their clips, as runs before ``data.held_out`` did.

    Raises:
        SplitError: The clips lack subjects, or too few would be left to train.
    """
    present = np.unique(_subjects(index, rows))
    _check_number(num_subjects, len(present))
    drawn = np.random.default_rng(seed).choice(present, size=num_subjects, replace=False)
    return tuple(sorted(drawn.tolist()))


def hold_out(
    index: ClipIndex,
    rows: Int64[ndarray, " A"],
    held_out: Iterable[int],
    *,
    people: People | None = None,
) -> tuple[Int64[ndarray, " B"], Int64[ndarray, " C"]]:
    """The rows that train and those that validate, where these people are held out.

    Raises:
        SplitError: The clips lack subjects, or nobody is left to train.
    """
    subjects = _subjects(index, rows)
    held = frozenset(held_out)
    numbers = np.unique(subjects)
    groups = [frozenset(people(number) if people else (number,)) for number in numbers.tolist()]
    trains = numbers[[not group & held for group in groups]]
    validates = numbers[[group <= held for group in groups]]
    if not len(trains):
        raise SplitError(
            f"data.held_out: the {len(numbers)} subjects of the training part are all held out; at"
            " least one must be left to train"
        )
    return rows[np.isin(subjects, trains)], rows[np.isin(subjects, validates)]


def _subjects(index: ClipIndex, rows: Int64[ndarray, " A"]) -> Int64[ndarray, " A"]:
    subjects: Int64[ndarray, " A"] = index.subjects[rows]
    if (subjects == UNKNOWN).any():
        raise SplitError(
            "validation goes by subject, which these clips lack;"
            " --set data.validation_subjects=0 trains without"
        )
    return subjects


def _check_number(asked: int, present: int) -> None:
    if asked >= present:
        raise SplitError(
            f"{asked} validation subjects were asked for, but the training part has only"
            f" {present}; at least one must be left to train"
        )


def _count_takes(index: ClipIndex, rows: Int64[ndarray, " A"], people: People | None) -> _Takes:
    numbers, group = np.unique(_subjects(index, rows), return_inverse=True)
    performers = [people(number) if people else (number,) for number in numbers.tolist()]
    present = sorted({person for each in performers for person in each})
    performs = np.array([[float(person in each) for person in present] for each in performers])
    labels = index.labels[rows]
    classes = max(1, 1 + int(labels.max(initial=UNKNOWN)))
    known = labels != UNKNOWN
    cells = np.bincount(
        group[known] * classes + labels[known], minlength=len(numbers) * classes
    ).reshape(len(numbers), classes)
    return _Takes(
        people=np.array(present, dtype=np.int64),
        performs=performs,
        per_class=cells.astype(np.float64),
        sizes=np.bincount(group, minlength=len(numbers)).astype(np.float64),
    )


def _candidates(people: int, number: int, random: np.random.Generator) -> Float64[ndarray, "C P"]:
    """Sets of people to compare: 1 for who is held out."""
    if comb(people, number) <= _ALL:
        members = np.array(list(combinations(range(people), number)))
    else:
        members = random.random((_SAMPLE, people)).argsort(axis=1)[:, :number]
    chosen = np.zeros((len(members), people))
    np.put_along_axis(chosen, members, 1.0, axis=1)
    return chosen
