"""Who is held out: whole people, about as many clips for every seed, and all classes."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from made_index import TAKES_60, ntu_like

from skelab.data.clips.clip import SampleInfo
from skelab.data.clips.index import ClipIndex
from skelab.data.clips.validation import TOLERANCE, draw_by_seed_alone, draw_subjects, hold_out
from skelab.data.datasets import get_dataset, parse_split
from skelab.errors import SplitError

SBU = get_dataset("sbu")
SBU_TRAIN = parse_split("sbu-fold1").train


def index_of(subjects: Sequence[int | None], labels: Sequence[int | None] = ()) -> ClipIndex:
    """Clips of these subjects; all of one class unless given."""
    classes = labels or [0] * len(subjects)
    pairs = zip(subjects, classes, strict=True)
    return ClipIndex.of(
        SampleInfo(f"clip{row}", label, subject) for row, (subject, label) in enumerate(pairs)
    )


def sbu_index() -> ClipIndex:
    """Every training pair of the first fold, eight actions each."""
    pairs = sorted(SBU_TRAIN)
    return index_of([pair for pair in pairs for _ in range(8)], list(range(8)) * len(pairs))


def xsub_rows(index: ClipIndex) -> Any:
    return parse_split("xsub").rows(index)[0]


@pytest.mark.parametrize(("of_120", "subjects", "classes"), [(False, 20, 60), (True, 53, 120)])
def test_every_seed_holds_out_the_target_share_and_all_classes(
    of_120: bool, subjects: int, classes: int
) -> None:
    index = ntu_like(of_120=of_120)
    rows, target = xsub_rows(index), 2 / subjects

    drawn = {seed: draw_subjects(index, rows, 2, seed) for seed in range(1, 13)}

    for held in drawn.values():
        _, validation = hold_out(index, rows, held)
        assert abs(len(validation) / len(rows) - target) <= TOLERANCE * target
        assert len(np.unique(index.labels[validation])) == classes
    assert len(set(drawn.values())) > 6


def test_the_seed_alone_held_out_a_fifth_of_all_clips_or_half_of_the_classes() -> None:
    index, larger = ntu_like(), ntu_like(of_120=True)

    held, missed = (draw_by_seed_alone(each, xsub_rows(each), 2, 1) for each in (index, larger))

    assert held == (15, 17)
    assert sum(TAKES_60[subject] for subject in held) / sum(TAKES_60.values()) > 0.2
    assert missed == (50, 54)
    _, validation = hold_out(larger, xsub_rows(larger), missed)
    assert len(np.unique(larger.labels[validation])) == 60


def test_the_seed_decides_and_a_seed_always_decides_alike() -> None:
    index, rows = index_of(list(range(1, 21))), np.arange(20)

    draws = [draw_subjects(index, rows, 3, seed) for seed in (1, 1, 2)]

    assert draws[0] == draws[1]
    assert draws[0] != draws[2]


def test_what_was_drawn_once_is_drawn_for_ever() -> None:
    index = ntu_like()

    drawn = [draw_subjects(index, xsub_rows(index), 2, seed) for seed in (1, 2, 3)]

    assert drawn == DRAWN


DRAWN = [(16, 27), (4, 5), (1, 28)]


def test_subjects_are_held_out_whole() -> None:
    subjects: list[int | None] = [1, 2, 3, 4, 1, 2, 3, 4, 9]
    index, rows = index_of(subjects), np.arange(8)

    train, validation = hold_out(index, rows, [2, 4])

    assert (train.tolist(), validation.tolist()) == ([0, 2, 4, 6], [1, 3, 5, 7])


def test_a_class_that_one_subject_performs_stays_in_training_where_others_can_validate() -> None:
    labels: list[int | None] = [0, 1, 2, 0, 1, 0, 1, 0, 1]
    index = index_of([1, 1, 1, 2, 2, 3, 3, 4, 4], labels)

    drawn = {draw_subjects(index, np.arange(9), 1, seed) for seed in range(20)}

    assert drawn <= {(1,), (2,), (3,), (4,)}
    assert {(2,), (3,), (4,)} & drawn


def test_clips_without_a_label_are_held_out_with_the_rest() -> None:
    index = index_of([1, 2, 3], [None, None, None])

    assert len(draw_subjects(index, np.arange(3), 1, seed=1)) == 1


def test_of_more_sets_than_can_be_looked_at_a_sample_is() -> None:
    subjects: list[int | None] = [person for person in range(1, 61) for _ in range(person)]
    index, rows = index_of(subjects), np.arange(len(subjects))

    held = draw_subjects(index, rows, 12, seed=1)

    _, validation = hold_out(index, rows, held)
    assert abs(len(validation) / len(rows) - 12 / 60) <= TOLERANCE * 12 / 60


@pytest.mark.parametrize("seed", range(5))
def test_nobody_of_a_pair_of_sbu_trains_and_validates(seed: int) -> None:
    index, rows = sbu_index(), np.arange(8 * len(SBU_TRAIN))

    held = draw_subjects(index, rows, 2, seed, people=SBU.people)

    parts = hold_out(index, rows, held, people=SBU.people)
    trained, validated = (
        {person for pair in index.subjects[part].tolist() for person in SBU.people(pair)}
        for part in parts
    )
    assert validated == set(held)
    assert not trained & validated
    assert len(np.unique(index.labels[parts[1]])) == 8


def test_one_person_of_pairs_cannot_validate_alone() -> None:
    index, rows = sbu_index(), np.arange(8 * len(SBU_TRAIN))

    with pytest.raises(SplitError, match="no clip is of so many people alone while others are"):
        draw_subjects(index, rows, 1, 1, people=SBU.people)


@pytest.mark.parametrize("draw", [draw_subjects, draw_by_seed_alone])
def test_without_subjects_there_is_no_validation_and_the_way_out_is_named(draw: Any) -> None:
    with pytest.raises(SplitError, match=r"--set data\.validation_subjects=0 trains without"):
        draw(index_of([1, None]), np.arange(2), 1, seed=1)


@pytest.mark.parametrize("draw", [draw_subjects, draw_by_seed_alone])
@pytest.mark.parametrize("number", [2, 3])
def test_somebody_must_be_left_to_train(draw: Any, number: int) -> None:
    message = f"{number} validation subjects were asked for, but the training part has only 2"

    with pytest.raises(SplitError, match=message):
        draw(index_of([1, 2, 2, 5]), np.array([0, 1, 2]), number, seed=1)


def test_not_everybody_can_be_held_out_by_name() -> None:
    with pytest.raises(SplitError, match="the 2 subjects of the training part are all held out"):
        hold_out(index_of([1, 2, 2]), np.arange(3), [1, 2, 3])
