"""What holds for every split that can be written and every set that is cut by one."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from skelab.data.clips.clip import SampleInfo
from skelab.data.clips.index import ClipIndex
from skelab.data.clips.validation import draw_subjects, hold_out
from skelab.data.datasets import parse_split
from skelab.errors import SplitError

NUMBERS = st.sets(st.integers(0, 40), min_size=1, max_size=6)


def index_of(subjects: list[int]) -> ClipIndex:
    return ClipIndex.of(
        SampleInfo(f"clip{row}", 0, subject) for row, subject in enumerate(subjects)
    )


@given(st.lists(st.integers(1, 40), min_size=1, max_size=30), NUMBERS, NUMBERS)
def test_parts_share_no_clip_and_no_subject(
    subjects: list[int], train: set[int], test: set[int]
) -> None:
    test = test - train or {41}
    split = parse_split(f"subject:{','.join(map(str, train))}/{','.join(map(str, test))}")

    try:
        training, testing = split.rows(index_of(subjects))
    except SplitError:
        assert not train & set(subjects) or not test & set(subjects)
        return

    assert {subjects[row] for row in training} == train & set(subjects)
    assert {subjects[row] for row in testing} == test & set(subjects)
    assert len(training) + len(testing) == sum(subject in train | test for subject in subjects)
    assert (np.diff(training) > 0).all()
    assert (np.diff(testing) > 0).all()


@given(st.lists(st.integers(1, 12), min_size=1, max_size=30), st.integers(1, 12), st.integers(0, 9))
def test_validation_takes_whole_subjects_and_leaves_some(
    subjects: list[int], number: int, seed: int
) -> None:
    index, rows = index_of(subjects), np.arange(len(subjects))[::2]
    present = {subjects[row] for row in rows}

    try:
        held = draw_subjects(index, rows, number, seed)
    except SplitError:
        assert number >= len(present)
        return

    training, validation = hold_out(index, rows, held)
    assert len(held) == number
    assert {subjects[row] for row in validation} == set(held)
    assert {subjects[row] for row in training} == present - set(held)
    assert sorted([*training, *validation]) == rows.tolist()


PAIRS = st.tuples(st.integers(1, 6), st.integers(1, 6)).filter(lambda pair: pair[0] != pair[1])


@given(st.lists(PAIRS, min_size=1, max_size=20), st.integers(1, 5), st.integers(0, 9))
def test_nobody_of_a_pair_is_on_both_sides(
    pairs: list[tuple[int, int]], number: int, seed: int
) -> None:
    index = index_of([100 * first + second for first, second in pairs])
    rows = np.arange(len(pairs))

    try:
        held = draw_subjects(index, rows, number, seed, people=lambda pair: divmod(pair, 100))
    except SplitError:
        return

    parts = hold_out(index, rows, held, people=lambda pair: divmod(pair, 100))
    trained, validated = ({person for row in part for person in pairs[row]} for part in parts)
    assert trained
    assert validated
    assert not trained & validated


@given(st.text(max_size=30) | st.text("0123456789,-/", max_size=20).map("subject:{}".format))
def test_any_text_is_a_split_or_refused_in_one_line(text: str) -> None:
    try:
        split = parse_split(text)
    except SplitError as error:
        message = str(error)
    else:
        message = ""
        assert split.train
        assert split.test
        assert not split.train & split.test

    assert "\n" not in message
