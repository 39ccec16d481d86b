"""The tree of errors, and how an unknown name is worded."""

import inspect
import re

import pytest

from skelab import errors
from skelab.errors import SkelabError, unknown_name

CLASSES = [
    kind
    for _, kind in inspect.getmembers(errors, inspect.isclass)
    if kind.__module__ == errors.__name__
]


@pytest.mark.parametrize("kind", CLASSES)
def test_every_error_is_a_skelab_error_with_a_meaning(kind: type[Exception]) -> None:
    meaning = inspect.getdoc(kind)

    assert issubclass(kind, SkelabError)
    assert meaning


@pytest.mark.parametrize("kind", CLASSES)
def test_the_tree_in_the_docstring_draws_every_error_below_its_parent(
    kind: type[Exception],
) -> None:
    drawing = str(errors.__doc__).splitlines()

    (line,) = [line for line in drawing if kind.__name__ in line.split()]

    depth = len(re.match("[│├└─ ]*", line)[0]) // 3  # type: ignore[index]
    assert depth == kind.__mro__.index(SkelabError)


def test_an_unknown_name_is_answered_with_the_nearest_and_with_all_known() -> None:
    known = ("ntu25", "coco17")

    message = unknown_name("layout", "ntu2", known)

    assert message == "unknown layout 'ntu2', did you mean 'ntu25'? Known: coco17, ntu25"


def test_an_unknown_name_far_from_all_gets_no_guess() -> None:
    known = ("ntu25", "coco17")

    message = unknown_name("layout", "zebra", known)

    assert message == "unknown layout 'zebra'. Known: coco17, ntu25"


def test_an_unknown_name_where_nothing_is_known_says_none() -> None:
    message = unknown_name("run", "first", [])

    assert message == "unknown run 'first'. Known: none"


def test_the_known_names_may_come_from_a_generator() -> None:
    known = (name for name in ("b", "a"))

    message = unknown_name("model", "zebra", known)

    assert message.endswith("Known: a, b")


@pytest.mark.parametrize("count", [100, 20_000])
def test_of_many_known_names_only_the_eight_nearest_are_listed(count: int) -> None:
    known = [f"S001C001P{number:05}" for number in range(count)]

    message = unknown_name("clip", "S001C001P00050x", known)

    assert message.startswith("unknown clip 'S001C001P00050x', did you mean 'S001C001P00050'?")
    assert f"{count:,} are known, such as S001C001P00050, " in message
    assert message.count(",") <= 10


def test_of_many_known_names_the_first_stand_for_all_where_none_is_near() -> None:
    message = unknown_name("clip", "zebra", [f"{number:03}" for number in range(60)])

    assert message == (
        "unknown clip 'zebra'. 60 are known, such as 000, 001, 002, 003, 004, 005, 006, 007"
    )
