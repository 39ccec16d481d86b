"""What holds for every split that can be written and every set that is cut by one."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from skelab.data.clips.clip import SampleInfo
from skelab.data.clips.index import ClipIndex
from skelab.data.clips.splits import hold_out_subjects, parse_split
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


@given(st.lists(st.integers(1, 12), min_size=1, max_size=30), st.integers(0, 12), st.integers(0, 9))
def test_validation_takes_whole_subjects_and_leaves_some(
    subjects: list[int], number: int, seed: int
) -> None:
    rows = np.arange(len(subjects))[::2]
    present = {subjects[row] for row in rows}

    try:
        training, validation = hold_out_subjects(index_of(subjects), rows, number, seed)
    except SplitError:
        assert number >= len(present)
        return

    held = {subjects[row] for row in validation}
    assert len(held) == number
    assert {subjects[row] for row in training} == present - held
    assert sorted([*training, *validation]) == rows.tolist()


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
