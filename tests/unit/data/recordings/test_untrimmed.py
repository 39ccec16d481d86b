"""What readers of untrimmed recordings share: lines become segments, faults become notes."""

import numpy as np
import pytest

from skelab.data.clips.sequence import SEGMENT_LEFT_OUT, Segment
from skelab.data.recordings.untrimmed import (
    HOLE_CLOSED,
    SORTED,
    LabelLine,
    arrange_segments,
    find_label,
    label_words,
    seen_bodies,
    segments_of_frames,
)
from skelab.errors import DataError


def line(number: int, start: int, end: int, label: int = 0) -> LabelLine:
    return LabelLine(f"a.csv, line {number}", label, start, end)


def test_lines_out_of_order_are_sorted_with_one_note() -> None:
    lines = [line(1, 20, 30), line(2, 0, 5, 1), line(3, 5, 9), line(4, 10, 12)]

    segments, notes = arrange_segments("a", lines)

    assert [segment.start for segment in segments] == [0, 5, 10, 20]
    (note,) = notes
    assert (note.name, note.cause) == ("a", SORTED)
    assert note.reason == (
        "a.csv, line 2: expected a start after frame 20, where the segment above starts, found 0;"
        " the segments are sorted by start"
    )


@pytest.mark.parametrize(
    ("start", "end", "reason"),
    [
        (9, 2, "a.csv, line 2: expected an end after frame 9, found 2; the segment is left out"),
        (4, 4, "a.csv, line 2: expected an end after frame 4, found 4; the segment is left out"),
        (-3, 2, "a.csv, line 2: expected frames from 0 up to 40, found -3 to 2; the segment is"),
        (30, 41, "a.csv, line 2: expected frames from 0 up to 40, found 30 to 41; the segment is"),
    ],
)
def test_a_line_that_is_wrong_by_itself_is_left_out_and_noted(
    start: int, end: int, reason: str
) -> None:
    segments, notes = arrange_segments("a", [line(1, 20, 30), line(2, start, end)], 40)

    assert segments == (Segment(0, 20, 30),)
    assert [note.cause for note in notes] == [SEGMENT_LEFT_OUT]
    assert notes[0].reason.startswith(reason)


def test_lines_that_overlap_are_refused_since_nobody_knows_which_is_right() -> None:
    with pytest.raises(DataError) as caught:
        arrange_segments("a", [line(1, 20, 30), line(2, 0, 21)])

    assert str(caught.value) == (
        "a.csv, line 1: expected a start from frame 21 on, where the segment of a.csv, line 2"
        " ends, found 20; segments must not overlap"
    )


@pytest.mark.parametrize(
    ("bridge", "expected"),
    [
        (0, [(0, 1, 3), (0, 4, 6), (1, 6, 7), (0, 9, 10)]),
        (1, [(0, 1, 6), (1, 6, 7), (0, 9, 10)]),
        (9, [(0, 1, 6), (1, 6, 7), (0, 9, 10)]),
    ],
)
def test_holes_inside_an_action_are_closed_up_to_a_length(
    bridge: int, expected: list[tuple[int, int, int]]
) -> None:
    labels = np.array([-1, 0, 0, -1, 0, 0, 1, -1, -1, 0], dtype=np.int32)
    places = [f"a.csv, line {number}" for number in range(1, 11)]

    segments, notes = segments_of_frames("a", labels, places, bridge)

    assert [(each.label, each.start, each.end) for each in segments] == expected
    closed = [(note.cause, note.reason.partition(":")[0]) for note in notes]
    assert closed == ([(HOLE_CLOSED, "a.csv, line 4")] if bridge else [])


def test_no_frame_labelled_makes_no_segment() -> None:
    labels = np.full(4, -1, dtype=np.int32)

    assert segments_of_frames("a", labels, ["x"] * 4, 1) == ((), ())


def test_files_may_call_labels_by_name_or_number_and_the_background_is_no_class() -> None:
    classes, words = label_words(("none", "punch", "kick"), "none")

    assert classes == ("punch", "kick")
    assert [find_label(word, words, "a") for word in ("0", "1", "2", "none", "kick")] == [
        *(-1, 0, 1, -1, 1)
    ]


def test_a_background_that_is_no_class_leaves_the_numbers_alone() -> None:
    classes, words = label_words(("punch", "kick"), "-1")

    assert classes == ("punch", "kick")
    assert [words[word] for word in ("-1", "0", "1", "punch")] == [-1, 0, 1, 0]


def test_a_word_that_is_no_label_is_refused_with_those_that_are() -> None:
    with pytest.raises(DataError) as caught:
        find_label("9", label_words(("none", "punch"), "none")[1], "a.csv, line 7")

    assert str(caught.value) == (
        "a.csv, line 7: expected a label of the data set (0, 1, punch, none), found '9'"
    )


def test_a_body_of_zeros_is_absent() -> None:
    joints = np.ones((2, 4, 3, 3))
    joints[1, 1:] = 0

    bodies = seen_bodies(joints)

    assert bodies["1"].frames.tolist() == [0, 1, 2, 3]
    assert bodies["2"].frames.tolist() == [0]
