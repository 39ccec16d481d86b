"""Columns of what is known of each clip."""

import pickle

import numpy as np
import pytest

from skelab.data.clips.clip import SampleInfo
from skelab.data.clips.index import UNKNOWN, ClipIndex
from skelab.errors import DataError

FULL = SampleInfo(
    "S001C002P003R002A013", 12, subject=3, camera=2, setup=1, replication=2, parts=("train",)
)
BARE = SampleInfo("nameless")
OTHER = SampleInfo("S002C001P003R001A001", 0, subject=3, camera=1, setup=2, replication=1)


def test_columns_give_back_the_rows_that_they_were_made_of() -> None:
    rows = [FULL, BARE, OTHER]

    index = ClipIndex.of(iter(rows))

    assert len(index) == 3
    assert [index.sample(row) for row in range(3)] == rows


def test_what_is_not_known_is_minus_one_in_every_column() -> None:
    index = ClipIndex.of([FULL, BARE])

    columns = [index.labels, index.subjects, index.cameras, index.setups, index.replications]

    assert [column.tolist() for column in columns] == [
        [known, UNKNOWN] for known in (12, 3, 2, 1, 2)
    ]


def test_a_label_of_zero_is_known() -> None:
    index = ClipIndex.of([OTHER])

    sample = index.sample(0)

    assert sample.label == 0


def test_rows_are_found_by_name() -> None:
    index = ClipIndex.of([FULL, BARE, OTHER])

    rows = index.rows_by_name

    assert rows == {FULL.name: 0, BARE.name: 1, OTHER.name: 2}


def test_a_selection_keeps_the_order_that_was_asked_for() -> None:
    index = ClipIndex.of([FULL, BARE, OTHER])

    chosen = index.select(np.array([2, 0]))

    assert [chosen.sample(row) for row in range(2)] == [OTHER, FULL]
    assert len(index.select([])) == 0


def test_an_index_without_clips_is_allowed() -> None:
    index = ClipIndex.of([])

    assert len(index) == 0
    assert index.labels.dtype == np.int64


def test_an_index_survives_pickling() -> None:
    index = ClipIndex.of([FULL, BARE])

    again = pickle.loads(pickle.dumps(index))  # noqa: S301

    assert [again.sample(row) for row in range(2)] == [FULL, BARE]


def test_a_name_that_stands_twice_is_refused_by_name() -> None:
    with pytest.raises(DataError, match="two clips are called 'nameless'") as caught:
        ClipIndex.of([BARE, FULL, SampleInfo("nameless", 3)])

    assert "\n" not in str(caught.value)


def test_a_column_of_another_length_is_refused() -> None:
    ones = np.ones(2, dtype=np.int64)
    names = ("a", "b", "c")

    with pytest.raises(DataError, match="3 names but 2 labels"):
        ClipIndex(names, ones, ones, ones, ones, ones)
