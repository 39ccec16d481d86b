"""YAML that is plain and bounded."""

from pathlib import Path

import pytest

from skelab.errors import RecipeError
from skelab.files.strict_yaml import LARGEST_YAML, dump_yaml, load_yaml, read_yaml_text

LAUGHS = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 9)}]\n"
    for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)
"""A thousand million entries in nine lines."""


def test_plain_values_are_read() -> None:
    text = "name: a\nlist: [1, 2.5, null, true]\nbelow: {key: text}\nlarge: 18446744073709551615\n"

    assert load_yaml(text, "mine.yaml", RecipeError) == {
        "name": "a",
        "list": [1, 2.5, None, True],
        "below": {"key": "text"},
        "large": 2**64 - 1,
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (LAUGHS, r"line 2: expected YAML, found a fault: an alias \(\*a\); write the value out"),
        ("a: &a [*a]\n", r"line 1: expected YAML, found a fault: an alias"),
        ("a: &a {k: 1}\nb: {<<: *a}\n", r"line 2: expected YAML, found a fault: an alias"),
        (f"a: {'9' * 400}\n", "line 1: expected YAML, found a fault: an integer of 400 characters"),
        (f"a: {'9' * 9000}\n", "line 1: .*an integer of 9000 characters"),
        (f"a: 0x{'f' * 400}\n", "line 1: .*an integer of 402 characters"),
        ("a: 1\na: 2\n", "line 2: expected YAML, found a fault: key 'a' stands twice"),
        ("? [a]\n: b\n", "line 1: expected YAML, found a fault: a key that is a list or a mapping"),
        ("a: " + "[" * 5000, "expected YAML, found a fault: maximum recursion depth"),
        ("a: 2001-99-99\n", "expected YAML, found a fault: "),
        ("a: !!python/name:os.system x\n", "line 1: expected YAML, found a fault: could not deter"),
        (
            "a" * 1000 + "\n" * LARGEST_YAML,
            "expected YAML, .*263,144 characters, more than 262,144",
        ),
    ],
)
def test_what_is_not_plain_is_refused_in_one_line(text: str, message: str) -> None:
    with pytest.raises(RecipeError, match=rf"mine\.yaml.*{message}") as caught:
        load_yaml(text, "mine.yaml", RecipeError)

    assert len(str(caught.value)) < 400
    assert "\n" not in str(caught.value)


def test_a_text_of_100_mb_is_not_even_read(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    with path.open("wb") as file:
        file.truncate(100_000_000)

    with pytest.raises(
        RecipeError, match=r"mine\.yaml cannot be read: expected at most 262,144 by"
    ):
        read_yaml_text(path, str(path), RecipeError)


def test_what_stands_twice_is_written_twice() -> None:
    shared = [1, 2]

    text = dump_yaml({"b": shared, "a": shared})

    assert text == "b:\n- 1\n- 2\na:\n- 1\n- 2\n"
