"""Recordings as csv: what is read, and what a damaged line is met with."""

import numpy as np
import pytest
from untrimmed_files import poses

from skelab.data.recordings.frame_csv import parse_frame_csv
from skelab.errors import DataError
from skelab.skeleton import Layout

STICK = Layout("stick", "three joints", ("a", "b", "c"), ((1, 0), (2, 0)), (), 0, 0, source="here")
WORDS = {"none": -1, "wave": 0, "0": -1, "1": 0}


def lines(frames: int, separator: str = ",", label: str | None = "1") -> list[str]:
    rows = poses(frames, 3).reshape(frames, -1)
    texts = [separator.join(f"{value:.6f}" for value in row) for row in rows]
    return texts if label is None else [f"{text}{separator}{label}" for text in texts]


def refusal(text: str, **options: object) -> str:
    with pytest.raises(DataError) as caught:
        parse_frame_csv(text.encode(), "a.csv", STICK, **{"words": WORDS, **options})  # type: ignore[arg-type]
    return str(caught.value)


@pytest.mark.parametrize("head", ["", "a x,a y,a z,b x,and so on\n"])
@pytest.mark.parametrize("ending", ["", "\n", "\r\n\r\n"])
def test_values_and_labels_are_read_with_or_without_headline(head: str, ending: str) -> None:
    text = head + "\n".join(lines(4)) + ending

    frames = parse_frame_csv(text.encode(), "a.csv", STICK, words=WORDS)

    np.testing.assert_allclose(frames.joints[0], poses(4, 3), atol=1e-6)
    assert frames.labels is not None
    assert frames.labels.tolist() == [0, 0, 0, 0]
    first = 2 if head else 1
    assert frames.places == tuple(f"a.csv, line {first + row}" for row in range(4))


def test_values_of_a_joint_may_stand_between_blanks_and_bodies_side_by_side() -> None:
    both = np.stack([poses(2, 3), poses(2, 3, seed=1)])
    rows = [
        ";".join(" ".join(map(str, joint)) for joint in both[:, t].reshape(6, 3)) for t in (0, 1)
    ]

    frames = parse_frame_csv("\n".join(rows).encode(), "a.csv", STICK, separator=";")

    np.testing.assert_array_equal(frames.joints, both)
    assert frames.labels is None


@pytest.mark.parametrize("cut", range(1, len(lines(1)[0]) - 1))
def test_a_last_line_that_was_cut_off_anywhere_is_refused(cut: int) -> None:
    whole = lines(3)
    text = "\n".join([*whole[:2], whole[2][:-cut]])

    message = refusal(text)

    assert message.startswith("a.csv, line 3: expected")
    assert "\n" not in message


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("nan", "a.csv, line 2: expected finite numbers, found 'nan'; write 0 where"),
        ("1e999", "a.csv, line 2: expected finite numbers, found '1e999'"),
        ("1_0", "a.csv, line 2: expected finite numbers, found '1_0'"),
        ("one", "a.csv, line 2: expected finite numbers, found 'one'"),
        ("1,2", "a.csv, line 2: expected 9 numbers as in the lines above (3 joints of stick, 3"),
    ],
)
def test_a_value_that_is_none_is_named_with_its_line(change: str, message: str) -> None:
    whole = lines(3)
    whole[1] = change + whole[1][whole[1].index(",") :]

    assert refusal("\n".join(whole)).startswith(message)


def test_a_label_that_is_unknown_is_named_with_its_line() -> None:
    message = refusal("\n".join([*lines(2), *lines(1, label="7")]))

    assert message == (
        "a.csv, line 3: expected a label of the data set (none, wave, 0, 1), found '7'"
    )


def test_a_first_line_of_another_layout_says_what_was_expected() -> None:
    message = refusal("1,2,3,4,wave")

    assert message == (
        "a.csv, line 1: expected 9 numbers a body (3 joints of stick, 3 axes) and a label, found"
        " 4 numbers and 'wave'"
    )


@pytest.mark.parametrize("text", ["", "\n\n", "a,b,c\n"])
def test_a_file_without_a_frame_is_refused(text: str) -> None:
    assert refusal(text) == "a.csv: expected a line of numbers a frame, found none"


def test_a_blank_line_between_frames_is_refused() -> None:
    one, two = lines(2)

    assert "a.csv, line 2: expected 9 numbers" in refusal(f"{one}\n\n{two}")
