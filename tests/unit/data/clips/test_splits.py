"""Benchmark protocols, written from their papers a second time."""

import json
from typing import Any

import pytest
from shared_data import shared_data

from skelab.data.clips.clip import SampleInfo
from skelab.data.clips.index import ClipIndex
from skelab.data.clips.splits import Split, list_parts
from skelab.data.datasets import list_splits, parse_split
from skelab.errors import SplitError

NTU60_XSUB_TRAIN = {1, 2, 4, 5, 8, 9, 13, 14, 15, 16, 17, 18, 19, 25, 27, 28, 31, 34, 35, 38}
NTU120_XSUB_TRAIN = {
    *{1, 2, 4, 5, 8, 9, 13, 14, 15, 16, 17, 18, 19, 25, 27, 28, 31, 34, 35, 38, 45, 46, 47, 49},
    *{50, 52, 53, 54, 55, 56, 57, 58, 59, 70, 74, 78, 80, 81, 82, 83, 84, 85, 86, 89, 91, 92},
    *{93, 94, 95, 97, 98, 100, 103},
}


def index_of(**columns: list[int | None]) -> ClipIndex:
    """Clips of which these columns are known."""
    size = len(next(iter(columns.values())))
    rows: list[dict[str, Any]] = [
        {name: values[row] for name, values in columns.items()} for row in range(size)
    ]
    return ClipIndex.of([SampleInfo(f"clip{row}", 0, **known) for row, known in enumerate(rows)])


def refusal(text: str) -> str:
    with pytest.raises(SplitError) as caught:
        parse_split(text)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_xsub_trains_on_the_subjects_of_both_ntu_papers() -> None:
    split = parse_split("xsub")

    assert split.by == "subject"
    assert split.train == NTU120_XSUB_TRAIN
    assert split.test == set(range(1, 107)) - NTU120_XSUB_TRAIN
    assert {subject for subject in split.train if subject <= 40} == NTU60_XSUB_TRAIN


def test_xview_and_xset_are_those_of_the_ntu_papers() -> None:
    view, setup = parse_split("xview"), parse_split("xset")

    assert view.by == "camera"
    assert view.train == {2, 3}
    assert view.test == {1}
    assert setup.by == "setup"
    assert setup.train == {number for number in range(1, 33) if number % 2 == 0}
    assert setup.test == {number for number in range(1, 33) if number % 2 == 1}


def test_utd_and_ucla_are_those_of_their_papers() -> None:
    utd, ucla = parse_split("utd"), parse_split("ucla")

    assert (utd.by, ucla.by) == ("subject", "camera")
    assert utd.train == {1, 3, 5, 7}
    assert utd.test == {2, 4, 6, 8}
    assert ucla.train == {1, 2}
    assert ucla.test == {3}


def test_the_folds_of_sbu_are_those_of_its_readme_and_test_each_pair_once() -> None:
    written = (
        "s01s02 s03s04 s05s02 s06s04",
        "s02s03 s02s07 s03s05 s05s03",
        "s01s03 s01s07 s07s01 s07s03",
        "s02s01 s02s06 s03s02 s03s06",
        "s04s02 s04s03 s04s06 s06s02 s06s03",
    )
    pairs = [{100 * int(pair[1:3]) + int(pair[4:6]) for pair in fold.split()} for fold in written]

    for number, expected in enumerate(pairs, start=1):
        fold = parse_split(f"sbu-fold{number}")

        assert fold.by == "subject"
        assert fold.test == expected
        assert fold.train == set().union(*pairs) - expected
        assert len(fold.train | fold.test) == 21


def test_the_lists_equal_those_that_came_with_the_recordings() -> None:
    facts = json.loads(shared_data("..", "golden", "facts", "splits.json").read_text())

    xsub, xset, xview = parse_split("xsub"), parse_split("xset"), parse_split("xview")

    ntu60, ntu120 = facts["ntu60"], facts["ntu120"]
    assert xsub.train == set(ntu120["xsub"]["train_subjects"])
    assert xsub.test == set(ntu120["xsub"]["test_subjects"])
    assert {number for number in xsub.train if number <= 40} == set(ntu60["xsub"]["train_subjects"])
    assert {number for number in xsub.test if number <= 40} == set(ntu60["xsub"]["test_subjects"])
    assert xview.train == set(ntu60["xview"]["train_cameras"])
    assert xview.test == set(ntu60["xview"]["test_cameras"])
    assert xset.train == set(ntu120["xset"]["train_setups"])
    assert xset.test == set(ntu120["xset"]["test_setups"])


def test_every_published_split_is_listed_has_a_source_and_shares_nobody() -> None:
    splits = list_splits()

    folds = [f"sbu-fold{number}" for number in range(1, 6)]
    pku = ["pku-xsub", "pku-xview"]
    assert [s.name for s in splits] == [*pku, *folds, "ucla", "utd", "xset", "xsub", "xview"]
    for split in splits:
        assert split.source
        assert parse_split(split.name) == split
        assert not split.train & split.test


@pytest.mark.parametrize(
    ("text", "by", "train", "test"),
    [
        ("subject:1,3,5/7", "subject", {1, 3, 5}, {7}),
        ("camera:1/2-3", "camera", {1}, {2, 3}),
        ("setup:1-3,9/4-4", "setup", {1, 2, 3, 9}, {4}),
        ("replication:2/1", "replication", {2}, {1}),
        ("script:1,3/2", "script", {1, 3}, {2}),
    ],
)
def test_a_split_can_be_written_out(text: str, by: str, train: set[int], test: set[int]) -> None:
    split = parse_split(text)

    assert split == Split(text, by, frozenset(train), frozenset(test))


def test_an_unknown_name_names_the_nearest_and_how_to_write_one() -> None:
    message = refusal("x-sub")

    assert message.startswith("unknown split 'x-sub', did you mean 'xsub'?")
    assert "Known: given, pku-xsub, pku-xview, sbu-fold1, sbu-fold2, " in message
    assert ", sbu-fold5, ucla, utd, xset, xsub, xview; or" in message
    assert "BY:TRAIN/TEST, say subject:1,3,5/7" in message


@pytest.mark.parametrize(
    "text", ["", "subject", "subject:1", "subject:1/", "age:1/2", "subject:a/b"]
)
def test_what_cannot_be_read_is_unknown(text: str) -> None:
    message = refusal(text)

    assert message.startswith(f"unknown split {text!r}")
    assert "BY is one of subject, camera, setup, replication" in message


@pytest.mark.parametrize("piece", ["", "1-", "-1", "1-2-3", "1234567890"])
def test_what_is_no_number_is_quoted(piece: str) -> None:
    message = refusal(f"subject:{piece},2/3")

    assert f"expected numbers such as 1,3,5 or 1-8, found {piece!r}" in message


@pytest.mark.parametrize("piece", ["9-8", "1-999999999"])
def test_a_range_must_rise_and_be_of_a_sane_size(piece: str) -> None:
    message = refusal(f"subject:{piece}/1000")

    assert f"{piece} is not a range that rises" in message


def test_nobody_may_stand_on_both_sides() -> None:
    message = refusal("subject:1-4/3,4,5")

    assert message == "split subject:1-4/3,4,5: 3, 4 is on both sides"


def test_rows_go_to_the_part_of_their_number_in_index_order() -> None:
    index = index_of(subject=[7, 1, 9, 3, 7, 1])

    train, test = parse_split("subject:1,3/7").rows(index)

    assert train.tolist() == [1, 3, 5]
    assert test.tolist() == [0, 4]


@pytest.mark.parametrize("by", ["subject", "camera", "setup", "replication"])
def test_each_column_can_decide(by: str) -> None:
    columns: dict[str, list[int | None]] = {"subject": [8, 8], "camera": [8, 8], "setup": [8, 8]}
    columns |= {"replication": [8, 8], by: [2, 1]}
    index = index_of(**columns)

    train, test = parse_split(f"{by}:1/2").rows(index)

    assert (train.tolist(), test.tolist()) == ([1], [0])


def test_clips_without_the_column_are_refused_and_counted() -> None:
    index = index_of(camera=[1, None, 2, None])

    with pytest.raises(SplitError, match="xview goes by camera, which 2 of 4 clips lack"):
        parse_split("xview").rows(index)


@pytest.mark.parametrize(
    ("cameras", "message"),
    [
        ([1, 1], "no clip for the training part, expected a camera of 2, 3, found 1"),
        ([2, 3], "no clip for the test part, expected a camera of 1, found 2, 3"),
    ],
)
def test_a_part_without_clips_is_refused(cameras: list[int | None], message: str) -> None:
    with pytest.raises(SplitError, match=message):
        parse_split("xview").rows(index_of(camera=cameras))


def test_a_long_list_of_numbers_is_cut_short_in_a_message() -> None:
    index = index_of(subject=[200])

    with pytest.raises(SplitError, match=r"1, 2, 4, .*, … \(53 in all\), found 200"):
        parse_split("xsub").rows(index)


GIVEN_PARTS = [("train",), ("test",), ("train",), ()]


def parted(*parts: tuple[str, ...]) -> ClipIndex:
    """Clips of which only the parts of their file are known."""
    return ClipIndex.of([SampleInfo(f"clip{row}", 0, parts=each) for row, each in enumerate(parts)])


def test_the_given_split_goes_by_the_parts_of_the_file() -> None:
    train, test = parse_split("given").rows(parted(*GIVEN_PARTS))

    assert (train.tolist(), test.tolist()) == ([0, 2], [1])
    assert list_parts(parted(*GIVEN_PARTS)) == ("test", "train")


@pytest.mark.parametrize("ending", ["val", "test"])
def test_the_given_split_takes_the_only_pair_of_parts_whatever_its_name(ending: str) -> None:
    index = parted(("fold1_train",), (f"fold1_{ending}",), ("extra",))

    train, test = parse_split("given").rows(index)

    assert (train.tolist(), test.tolist()) == ([0], [1])


def test_one_of_several_splits_of_a_file_is_written_out() -> None:
    index = parted(("a_train", "b_val"), ("a_val", "b_train"), ("a_train", "b_train"))

    with pytest.raises(SplitError) as caught:
        parse_split("given").rows(index)
    train, test = parse_split("part:b_train/b_val").rows(index)

    assert (train.tolist(), test.tolist()) == ([1, 2], [0])
    assert str(caught.value) == (
        "split given: the file has 2 splits of its own; say which: part:a_train/a_val or"
        " part:b_train/b_val"
    )


@pytest.mark.parametrize(
    ("split", "parts", "message"),
    [
        ("given", [(), ()], "goes by the file's own parts: expected train and test, found no part"),
        ("given", [("one",), ("two",)], "expected train and test, found the parts one, two"),
        ("part:train/dev", GIVEN_PARTS, "expected clips of part dev, found those of test, train"),
        ("part:train/test", [("train", "test"), ("test",)], "clip0 is on both sides"),
    ],
)
def test_parts_that_do_not_make_a_split_are_refused(
    split: str, parts: list[tuple[str, ...]], message: str
) -> None:
    with pytest.raises(SplitError, match=message):
        parse_split(split).rows(parted(*parts))


def test_a_split_that_the_clips_cannot_have_names_the_one_that_they_have() -> None:
    with pytest.raises(SplitError) as caught:
        parse_split("xsub").rows(parted(*GIVEN_PARTS))

    assert str(caught.value) == (
        "split xsub goes by subject, which 4 of 4 clips lack; split 'given' goes by the file's own"
        " parts"
    )


def test_a_crossed_split_withholds_numbers_of_a_second_column_from_training() -> None:
    index = index_of(subject=[1, 1, 2, 2, 3, 3], script=[1, 2, 1, 2, 1, 2])

    train, test = parse_split("subject:1,2/3+script:1/2").rows(index)

    assert train.tolist() == [0, 2]
    assert test.tolist() == [4, 5]


def test_a_crossed_split_of_one_column_or_without_training_is_refused() -> None:
    index = index_of(subject=[1, 1, 2], script=[2, 2, 1])

    assert "expected two different criteria" in refusal("subject:1/2+subject:2/1")
    with pytest.raises(SplitError, match="no clip for the training part, where subject and script"):
        parse_split("subject:1/2+script:1/2").rows(index)
