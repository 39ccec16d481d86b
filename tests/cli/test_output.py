"""What is printed: nothing in somebody's file can act on the terminal."""

import json
from collections.abc import Callable

import pytest
from rich.text import Text

from skelab.cli import main as command_line
from skelab.cli.output import (
    print_entries,
    print_json,
    print_pairs,
    print_table,
    printable,
    result,
    say,
)
from skelab.errors import DataError

HOSTILE = "a\x1b]0;owned\x07b\x9bc\u202ed\ud800e\rf"
SHOWN = r"a\x1b]0;owned\x07b\x9bc\u202ed\ud800e\rf"


def test_control_characters_become_their_escapes_and_all_else_stays() -> None:
    assert printable(HOSTILE) == SHOWN
    assert printable("Größe 5\t挥手 🙂\n") == "Größe 5\t挥手 🙂\n"


@pytest.mark.parametrize(
    "show",
    [
        say,
        result,
        lambda text: print_table([text], [["x"]]),
        lambda text: print_table(["name"], [[text]]),
        lambda text: print_table(["name"], [["x"]], title=text),
        lambda text: print_pairs({text: "x"}),
        lambda text: print_pairs({"name": text}),
        lambda text: print_entries({text: []}),
        lambda text: print_entries({"name": [(text, "x")]}),
        lambda text: print_entries({"name": [("label", Text(text, style="bold"))]}),
    ],
)
def test_no_way_of_printing_lets_a_control_character_through(
    show: Callable[[str], None], capsys: pytest.CaptureFixture[str]
) -> None:
    show(HOSTILE)

    printed = "".join(capsys.readouterr())
    assert not set(HOSTILE) & set(printed) & set("\x1b\x07\x9b\u202e\ud800\r")
    assert r"\x1b]0;owned" in printed


def test_json_stays_json_with_the_same_text(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"name": HOSTILE})

    printed = capsys.readouterr().out
    assert json.loads(printed) == {"name": HOSTILE}
    assert not {"\x1b", "\x9b", "\u202e", "\ud800"} & set(printed)


def test_an_error_shows_a_hostile_name_as_text(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise DataError(f"{HOSTILE}: expected a clip")

    monkeypatch.setattr(command_line, "app", fail)

    assert command_line.run(["layouts"]) == 2
    assert capsys.readouterr().err.startswith(r"skelab: a\x1b]0;owned\x07b\x9bc")
