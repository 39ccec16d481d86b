"""What is printed: nothing in somebody's file can act on the terminal."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.text import Text

from skelab.cli import main as command_line
from skelab.cli.output import (
    next_command,
    print_entries,
    print_json,
    print_pairs,
    print_table,
    printable,
    result,
    say,
    stdout,
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


ROWS = [
    ["drink water from a bottle", "0.873", "brushing teeth, wearing on glasses"],
    ["counterclockwise", "0.4", "x"],
]


@pytest.mark.parametrize("width", [40, 60, 80, 120])
def test_a_table_never_breaks_a_word(
    width: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stdout, "width", width)

    print_table(["class", "accuracy", "confused with"], ROWS, right="accuracy", title="classes")

    printed = capsys.readouterr().out
    words = {word for row in ROWS for cell in row for word in cell.split()} | {"accuracy"}
    assert words <= set(printed.split())
    assert all(len(line) <= width for line in printed.splitlines())


def test_a_table_that_is_wider_than_the_screen_lists_its_rows(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stdout, "width", 30)

    print_table(["class", "accuracy", "confused with"], ROWS, right="accuracy")

    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "drink water from a bottle"
    assert lines[1].split() == ["accuracy", "0.873"]
    assert "counterclockwise" in lines


def test_columns_that_are_kept_whole_are_not_wrapped(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stdout, "width", 60)

    print_table(["class", "accuracy", "confused with"], ROWS, whole="class")

    assert any(
        line.startswith(" drink water from a bottle ")
        for line in capsys.readouterr().out.splitlines()
    )


def test_the_next_command_can_be_pasted_whatever_the_path_is_called() -> None:
    line = next_command("evaluate", Path("my runs/it's one"), "--data", "STORE")

    assert line == """next: skelab evaluate 'my runs/it'"'"'s one' --data STORE"""
