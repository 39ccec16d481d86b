"""Assigns the clips of a store to training, validation and test."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Int64
from numpy import ndarray

from skelab.data.clips.index import UNKNOWN, ClipIndex
from skelab.data.clips.opened_clips import OpenedClips
from skelab.data.clips.splits import GIVEN, GivenSplit, list_parts
from skelab.data.clips.validation import People, draw_by_seed_alone, draw_subjects, hold_out
from skelab.data.datasets import check_split, parse_split, people_of
from skelab.data.opened import check_trimmed
from skelab.errors import SplitError
from skelab.recipes import Protocol, Recipe


@dataclass(frozen=True)
class RunParts:
    """Rows of a store by their part in a run.

    Attributes:
        train: Training rows.
        validation: Validation rows, which choose the epoch; those of ``test`` under ``paper``.
        test: Test rows.
        left_out: Training rows excluded because held-out subjects appear with others.
    """

    train: Int64[ndarray, " A"]
    validation: Int64[ndarray, " B"]
    test: Int64[ndarray, " C"]
    left_out: int = 0


def use_given_split(recipe: Recipe, store: OpenedClips) -> tuple[Recipe, str]:
    """The recipe, with the file's own split if its split does not fit the clips.

    Rows of an npz have no names, so their subjects are unknown; but the file says which of them
    are training and test rows. The same holds for custom data sets without a published split.
    Without subjects nothing can be held out, and the last epoch is chosen.

    Returns:
        The recipe, and one line why its split changes; empty if it does not.
    """
    usual = recipe.data.split
    if (
        isinstance(parse_split(usual), GivenSplit)
        or not list_parts(store.index)
        or _fits(recipe, store)
    ):
        return recipe, ""
    changes: dict[str, object] = {"split": GIVEN}
    taken = "the parts of the file itself are taken"
    if (store.index.subjects == UNKNOWN).any():
        changes |= {"validation_subjects": 0, "held_out": None}
        why = (
            f"the clips lack what split {usual} goes by: {taken}, nothing is held out for"
            " validation, and the last epoch counts; --names would tell who is who"
        )
    else:
        why = f"split {usual} is not theirs: {taken}"
    data = recipe.data.model_copy(update=changes)
    return recipe.model_copy(update={"data": data}), f"{store.path}: {why}"


def settle_parts(recipe: Recipe, store: OpenedClips) -> Recipe:
    """The recipe of a new run, with a fitting split and the names of the held-out subjects.

    Raises:
        DataError: The store holds sequences; the message names the command that cuts them.
        SplitError: The clips do not fit the recipe's split, or lack subjects.
    """
    check_own_split(recipe, store)
    return draw_held_out(recipe, store)


def check_own_split(recipe: Recipe, store: OpenedClips) -> None:
    """Refuse sequences, and the split of another data set, before training.

    Raises:
        DataError: The store holds sequences; the message names the command that cuts them.
        SplitError: The message lists the splits that fit.
    """
    check_trimmed(store)
    check_split(
        recipe.data.split,
        store.info.dataset,
        store.index,
        store.path,
        option="--set data.split=",
    )


def draw_held_out(recipe: Recipe, store: OpenedClips) -> Recipe:
    """The recipe with held-out subjects drawn, if it does not name them.

    Raises:
        SplitError: The clips do not fit the recipe's split, or lack subjects.
    """
    data = recipe.data
    if data.held_out or not data.validation_subjects or recipe.protocol is Protocol.PAPER:
        return recipe
    training, _ = parse_split(data.split).rows(store.index)
    held_out = draw_subjects(
        store.index,
        training,
        data.validation_subjects,
        recipe.training.seed,
        people=people_of(store.info.dataset),
    )
    return recipe.model_copy(update={"data": data.model_copy(update={"held_out": held_out})})


def choose_parts(recipe: Recipe, store: OpenedClips) -> RunParts:
    """The rows that train, choose the epoch, and test.

    Under ``paper`` the test part chooses the epoch, and nothing is held out. A recipe
    without held-out names is of a run from before ``data.held_out``: subject numbers are
    drawn as at that time.

    Raises:
        SplitError: The clips do not fit the recipe's split.
    """
    data = recipe.data
    training, test = parse_split(data.split).rows(store.index)
    if recipe.protocol is Protocol.PAPER:
        return RunParts(training, test, test)
    people: People | None = people_of(store.info.dataset)
    held_out = data.held_out
    if held_out is None and data.validation_subjects:
        people = None
        held_out = draw_by_seed_alone(
            store.index, training, data.validation_subjects, recipe.training.seed
        )
    if not held_out:
        return RunParts(training, training[:0], test)
    train, validation = hold_out(store.index, training, held_out, people=people)
    return RunParts(train, validation, test, len(training) - len(train) - len(validation))


def describe_parts(recipe: Recipe, store: OpenedClips, parts: RunParts) -> str:
    """One line: the split, clips and subjects of each part, and the coverage of validation.

    Raises:
        SplitError: The clips do not fit the recipe's split.
    """
    who = people_of(store.info.dataset)
    counted = {
        name: f"{len(rows):,}{_people(store.index, rows, who, unit)}"
        for name, rows, unit in (
            ("train", parts.train, True),
            ("validation", parts.validation, False),
            ("test", parts.test, False),
        )
    }
    line = f"split {recipe.data.split}: train {counted['train']}"
    if recipe.protocol is Protocol.PAPER:
        return f"{line} · test {counted['test']}; protocol paper: the test part chooses the epoch"
    if not len(parts.validation):
        return f"{line} · test {counted['test']}; no validation: the last epoch counts"
    line += f" · validation {counted['validation']} · test {counted['test']}"
    labels = [_classes(store.index, rows) for rows in (parts.train, parts.validation)]
    share = len(parts.validation) / _training_size(parts)
    line += (
        f"; validation has {len(labels[1])} of {len(labels[0] | labels[1])} classes and"
        f" {share:.1%} of the training part"
    )
    if parts.left_out:
        line += f"; {parts.left_out:,} clips of both sides' people are left out"
    return line


def warn_of_parts(recipe: Recipe, parts: RunParts) -> str | None:
    """A warning if validation has more clips than training; else None."""
    if recipe.protocol is Protocol.PAPER or len(parts.validation) <= len(parts.train):
        return None
    return (
        f"warning: validation takes {len(parts.validation):,} clips and leaves"
        f" {len(parts.train):,} to train on; --set data.validation_subjects=N holds out fewer"
    )


def _fits(recipe: Recipe, store: OpenedClips) -> bool:
    """Whether the clips are of the split's data set and have the fields that it needs."""
    if (parse_split(recipe.data.split).column(store.index) == UNKNOWN).any():
        return False
    try:
        check_own_split(recipe, store)
    except SplitError:
        return False
    return True


def _training_size(parts: RunParts) -> int:
    return len(parts.train) + len(parts.validation) + parts.left_out


def _classes(index: ClipIndex, rows: Int64[ndarray, " R"]) -> set[int]:
    return set(np.unique(index.labels[rows]).tolist()) - {UNKNOWN}


def _people(index: ClipIndex, rows: Int64[ndarray, " R"], who: People, unit: bool) -> str:
    """How many people are in the rows, in brackets; nothing if unknown."""
    numbers = np.unique(index.subjects[rows]).tolist()
    if UNKNOWN in numbers or not numbers:
        return " clips" if unit else ""
    count = len({person for number in numbers for person in who(number)})
    if not unit:
        return f" ({count})"
    return f" clips ({count} {'subject' if count == 1 else 'subjects'})"
