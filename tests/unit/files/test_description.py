"""Descriptions are read by a schema: bounded, strict, and refused in one line."""

import re

import pytest
from pydantic import ConfigDict, TypeAdapter

from skelab.errors import ScoresError
from skelab.files.description import Count, Name, can_be_written, read_description

SIZES = TypeAdapter(dict[Name, Count], config=ConfigDict(strict=True))


def test_what_fits_the_schema_comes_back() -> None:
    assert read_description('{"width": 64}', SIZES, "net", ScoresError) == {"width": 64}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[]", "net: expected an object, found a list of 0"),
        ('{"a": "64"}', "net: a: expected a valid integer, found '64'"),
        ('{"a": null, "b": true}', "net: a: expected a valid integer, found None (and 1 more)"),
        ('{"a": -1}', "net: a: expected greater than or equal to 0, found -1"),
        ('{"a": ' + "9" * 400 + "}", "found a number of 1329 bits"),
        ('{"a": ' + "9" * 5000 + "}", "net: invalid JSON: number out of range"),
        ('{"a": {"b": 1}}', "net: a: expected a valid integer, found a dict of 1"),
        ("[" * 100_000, "net: invalid JSON: recursion limit exceeded"),
        ('{"\\ud800": 1}', "net: invalid JSON: "),
        ("{", "net: invalid JSON: EOF while parsing an object"),
        ("", "net: invalid JSON: EOF while parsing a value"),
        (f'{{"{"x" * 2000}": 1}}', "string should have at most 1000 characters"),
        (f'"{"x" * 2000}"', "net: expected at most 1,000 characters, found 2,002"),
    ],
)
def test_what_does_not_fit_is_one_short_line(text: str, message: str) -> None:
    largest = 1_000 if message.endswith("2,002") else 1 << 20

    with pytest.raises(ScoresError, match=re.escape(message)) as caught:
        read_description(text, SIZES, "net", ScoresError, largest=largest)

    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize(("text", "can"), [("abc", True), ("Zoë 動", True), ("a\ud800", False)])
def test_half_of_a_surrogate_pair_can_be_written_nowhere(text: str, can: bool) -> None:
    assert can_be_written(text) is can
