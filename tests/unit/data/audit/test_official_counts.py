"""Official sizes of data sets: reported where a set claims to be complete, and never hidden."""

import dataclasses
import json

import numpy as np
import pytest
from shared_data import shared_data

from skelab.data.audit.official_counts import CountCheck, check_counts
from skelab.data.clips.index import ClipIndex
from skelab.data.datasets import get_dataset, list_datasets

NTU60 = get_dataset("ntu60")


def ntu60(**changes: int) -> ClipIndex:
    """An index with the official counts of NTU 60, xsub by subject and xview by camera."""
    size = NTU60.clips + changes.get("more", 0)
    subjects = np.where(np.arange(size) < NTU60.counts["xsub"][0], 1, 3)
    cameras = np.where(np.arange(size) < NTU60.counts["xview"][0], 2, 1)
    moved = changes.get("moved", 0)
    subjects[:moved] = 3
    column = np.ones(size, dtype=np.int64)
    return ClipIndex(
        names=tuple(map(str, range(size))),
        labels=column * 0,
        subjects=subjects.astype(np.int64),
        cameras=cameras.astype(np.int64),
        setups=column,
        replications=column,
    )


def test_a_complete_set_has_every_count() -> None:
    checked = check_counts(ntu60(), "ntu")

    assert checked == CountCheck("NTU RGB+D 60", ())
    assert checked.summary == "every count is that of NTU RGB+D 60"


def test_the_samples_that_should_be_left_out_are_named_with_what_leaves_them_out() -> None:
    checked = check_counts(ntu60(more=302), "ntu")

    assert checked is not None
    assert checked.summary == (
        "looks like NTU RGB+D 60, but 56,880 clips, 302 more than 56,578 (--ignore takes the"
        " makers' list of 302 missing samples); xsub has 40,091 + 16,789 clips, not"
        " 40,091 + 16,487; xview has 37,646 + 19,234 clips, not 37,646 + 18,932"
    )


def test_a_split_that_differs_while_the_sum_agrees_is_reported() -> None:
    checked = check_counts(ntu60(moved=5), "ntu")

    assert checked is not None
    assert checked.differences == ("xsub has 40,086 + 16,492 clips, not 40,091 + 16,487",)


@pytest.mark.parametrize("more", [-600, 1000, -56_500])
def test_a_set_of_another_size_claims_nothing(more: int) -> None:
    assert check_counts(ntu60(more=more), "ntu") is None


def test_another_data_set_of_the_same_size_claims_nothing() -> None:
    assert check_counts(ntu60(), "custom") is None


@pytest.mark.parametrize(("train", "differs"), [(40_091, False), (37_646, False), (30_000, True)])
def test_rows_without_names_are_compared_by_the_parts_of_their_file(
    train: int, differs: bool
) -> None:
    unknown = np.full(NTU60.clips, -1)
    parts = tuple(("train",) if row < train else ("test",) for row in range(NTU60.clips))
    index = dataclasses.replace(
        ntu60(), subjects=unknown, cameras=unknown, setups=unknown, parts=parts
    )

    checked = check_counts(index, "ntu")

    assert checked is not None
    assert bool(checked.differences) is differs
    if differs:
        assert checked.differences == (
            "its own parts have 30,000 + 26,578 clips, neither 40,091 + 16,487 nor 37,646 + 18,932",
        )


def test_the_parts_of_each_split_make_up_the_whole() -> None:
    for card in list_datasets():
        assert set(card.counts) == {split.name for split in card.splits}
        for parts in card.counts.values():
            assert sum(parts) == card.clips


def test_the_counts_equal_those_that_came_with_the_recordings() -> None:
    facts = json.loads(shared_data("..", "golden", "facts", "splits.json").read_text())

    for key in ("ntu60", "ntu120"):
        official = get_dataset(key)
        assert official.recorded == facts[key]["raw_samples"]
        assert official.missing == facts[key]["missing"]
        for name, (train, test) in official.counts.items():
            assert facts[key][name]["train_samples"] == train
            assert facts[key][name]["test_samples"] == test
