"""How commands print: tables and JSON on stdout, everything else on stderr.

Every line passes through :func:`printable`, so that a name in somebody's file cannot move the
cursor, colour the screen or set the terminal's title.
"""

import json
import os
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final, Literal

import typer
from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.padding import Padding
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

QUIET = os.environ.get("RANK", "0") != "0"
"""Of several processes that share a command, as `torchrun` starts them, only the first speaks."""

_CONTROL: Final = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f"  # C0 and C1 without tab and newline
    "\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069"  # line separators, writing direction
    "\ud800-\udfff]"  # lone surrogates, which no terminal can be sent
)

stdout = Console(highlight=False, quiet=QUIET)
stderr = Console(stderr=True, highlight=False, quiet=QUIET)


def printable(text: str) -> str:
    r"""The text with each control character replaced by its escape, say ``\x1b``."""
    return _CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def say(text: str) -> None:
    """One line about what is going on; stderr."""
    stderr.print(printable(text), markup=False, soft_wrap=True)


def result(text: str) -> None:
    """One line of the result; stdout."""
    if not QUIET:
        typer.echo(printable(text))


def next_command(*words: object) -> str:
    """The line that names the next command, ready to be pasted into a shell.

    Words in capitals stand for what the user has to fill in.
    """
    return f"next: skelab {shlex.join(map(str, words))}"


def print_json(content: Any) -> None:
    """A result for machines."""
    text = json.dumps(content, indent=2, ensure_ascii=False)
    result(_CONTROL.sub(lambda found: f"\\u{ord(found[0]):04x}", text))


def print_table(
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    title: str = "",
    right: str = "",
    whole: str = "",
) -> None:
    """A table on stdout; columns named in ``right`` (comma-separated) are numbers.

    Cells are wrapped between words. Where the longest words do not fit beside each other, each row
    is printed as a list of its cells. Columns named in ``whole`` are not wrapped.
    """
    if title:
        stdout.print(Text(printable(title), style="bold"), soft_wrap=True)
    numbers, unwrapped = set(right.split(",")), set(whole.split(","))
    gap = 2 if whole else 3
    room = stdout.width - gap * (len(columns) - 1) - 2  # and an edge on each side
    cells = [columns, *rows]
    natural = [max(map(_width, column)) for column in zip(*cells, strict=True)]
    least = [
        wide if name in unwrapped else max(_longest_word(cell) for cell in column)
        for name, wide, column in zip(columns, natural, zip(*cells, strict=True), strict=True)
    ]
    if sum(least) > room:
        _print_rows(columns, rows)
        return
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=bool(whole))
    for column, width in zip(columns, _shared(least, natural, room), strict=True):
        justify: Literal["right", "left"] = "right" if column in numbers else "left"
        table.add_column(_plain(column), justify=justify, overflow="fold", width=width)
    for row in rows:
        table.add_row(*map(_plain, row))
    stdout.print(table)


def _print_rows(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A table that is too wide for the screen: its rows one below the other."""
    for first, *others in rows:
        stdout.print(Text(printable(first), style="bold"), soft_wrap=True)
        pairs = {name: cell for name, cell in zip(columns[1:], others, strict=True) if cell}
        _print_pairs(pairs, indent=2)


def _shared(least: Sequence[int], natural: Sequence[int], room: int) -> list[int]:
    """Widths of columns within the room: what each needs at least, then what others leave."""
    widths = list(least)
    for index in sorted(range(len(widths)), key=lambda index: natural[index] - least[index]):
        open_columns = sum(width < wide for width, wide in zip(widths, natural, strict=True))
        share = (room - sum(widths)) // max(open_columns, 1)
        widths[index] += min(natural[index] - least[index], share)
    return widths


def _width(text: str) -> int:
    return cell_len(printable(text))


def _longest_word(text: str) -> int:
    return max(map(_width, text.split()), default=0)


def print_pairs(pairs: Mapping[str, str]) -> None:
    """Names and values, one a line, aligned."""
    _print_pairs(pairs)


def _print_pairs(pairs: Mapping[str, str], indent: int = 0) -> None:
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in pairs.items():
        table.add_row(printable(name), _plain(value))
    stdout.print(Padding(table, (0, 0, 0, indent)) if indent else table)


def print_entries(entries: Mapping[str, Sequence[tuple[str, str | Text]]]) -> None:
    """Entries one below the other, each a name and its labelled lines; stdout.

    A label that stands several times in a row is printed once.
    """
    for name, lines in entries.items():
        table = Table(box=None, show_header=False, pad_edge=False)
        table.add_column(style="dim")
        table.add_column(overflow="fold")
        previous = ""
        for label, text in lines:
            table.add_row(printable(label) if label != previous else "", _plain(text))
            previous = label
        stdout.print(Text(printable(name), style="bold cyan"))
        stdout.print(Padding(table, (0, 0, 1, 2)))


@contextmanager
def progress(what: str, unit: str = "clips") -> Iterator["Bar"]:
    """A progress bar on stderr for the length of the block; silent where stderr is no terminal."""
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn(unit),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )
    hidden = not stderr.is_terminal
    with Progress(*columns, console=stderr, transient=True, disable=hidden) as bar:
        yield Bar(bar, what)


def _plain(text: str | Text) -> Text:
    """Printable text in which brackets are brackets and not markup."""
    if isinstance(text, str):
        return Text(printable(text))
    text.plain = printable(text.plain)
    return text


class Bar:
    """One line of a progress display."""

    def __init__(self, display: Progress, what: str) -> None:
        self._display = display
        self._task = display.add_task(what, total=None, note="")

    def __call__(self, done: int, total: int) -> None:
        """Show that ``done`` of ``total`` are done."""
        self._display.update(self._task, completed=done, total=total)

    def note(self, text: str) -> None:
        """Show a few words behind the bar."""
        self._display.update(self._task, note=printable(text))

    def describe(self, text: str) -> None:
        """Change the words before the bar."""
        self._display.update(self._task, description=text)

    def say(self, text: str) -> None:
        """Print a line above the bar."""
        self._display.console.print(printable(text), markup=False)
