"""Validation by subject: people held out of the training part, on whom the epoch is chosen.

A subject number is one person in most data sets, and a pair in SBU. People are held out, not
numbers: a clip is for validation if all of its people are held out, and for training if none is. A
clip of both, say of a pair with one held-out person, is in neither part.
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
"""Maps a subject number to its people."""

TOLERANCE: Final = 0.1
"""Relative deviation from the target share that is tolerated."""

_ALL: Final = 8192  # up to so many sets of people are all compared; of more, a sample
_SAMPLE: Final = 4096
_CHOICES: Final = 8  # so many sets remain for the seed to choose from, if there are as many


@dataclass(frozen=True)
class _Takes:
    """Number of clips per class and subject number, and the people of each number.

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
    """Draw the held-out people, with a similar share of clips and all classes for every seed.

    The target share of clips is ``num_subjects`` / S for S people. All sets of so many people are
    compared (4,096 random ones if there are more than 8,192):

    1. Sets that leave a part empty are dropped.
    2. Sets with the most classes in both parts remain. A class with a single performer cannot be
       in both.
    3. Of these, sets within a tenth of the target share remain (``TOLERANCE``). If there are fewer
       than eight, the nearest eight remain, but at most half.
    4. The seed selects one of them.

    Args:
        index: The clips.
        rows: The training part.
        num_subjects: Number of people, at least one.
        seed: Seed; the same seed on the same clips draws the same people.
        people: Maps subject numbers to people; None if each is one person.

    Returns:
        The people, ascending.

    Raises:
        SplitError: The clips lack subjects, too few people would remain for training, or no clip
            has held-out people only.
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
    # |share - target| / target, in integers to be the same on every machine
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
    """Draw subject numbers regardless of their clips, as in runs before ``data.held_out``.

    Raises:
        SplitError: The clips lack subjects, or too few would remain for training.
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
    """The training and validation rows when these people are held out.

    Raises:
        SplitError: The clips lack subjects, or nobody remains for training.
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
    """The sets of people to compare, as masks of held-out people."""
    if comb(people, number) <= _ALL:
        members = np.array(list(combinations(range(people), number)))
    else:
        members = random.random((_SAMPLE, people)).argsort(axis=1)[:, :number]
    chosen = np.zeros((len(members), people))
    np.put_along_axis(chosen, members, 1.0, axis=1)
    return chosen
