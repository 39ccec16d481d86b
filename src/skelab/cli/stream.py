"""How `skelab predict --stream` reads frames and prints answers."""

import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from skelab.cli.output import result, say
from skelab.errors import SourceError
from skelab.files.reading import special_kind

if TYPE_CHECKING:
    from skelab.inference.stream import NetworkStream


def print_stream(
    stream: "NetworkStream", files: Sequence[Path], *, top: int, as_json: bool
) -> None:
    """Answer after every frame of a file, or of stdin for ``-``.

    As JSON each answer is a line. Otherwise a line is printed when the likeliest class changes.

    Raises:
        SourceError: There are several files, or the file cannot be read.
        DataError: A line is no frame; the message says which.
    """
    if len(files) != 1:
        raise SourceError(f"--stream: expected one file of frames, or -, found {len(files)}")
    path = files[0]
    label, frames = "", 0
    for answer in stream.answers(_lines(path), top=top):
        for note in answer.notes:
            say(f"frame {answer.frame}: {note}")
        if as_json:
            result(answer.to_json())
            sys.stdout.flush()
        elif answer.top and answer.top[0][0] != label:
            label, share = answer.top[0]
            when = "" if answer.time is None else f", {answer.time:.2f} s"
            result(f"frame {answer.frame}{when}: {label} {share:.1%}")
            sys.stdout.flush()
        frames += bool(answer.top)
    if not as_json:
        result(f"{frames:,} frames, at the end {label or 'no answer'}")


def _lines(path: Path) -> Iterator[bytes]:
    """The lines of a file or of stdin, as they come; over-long ones in pieces."""
    if str(path) == "-":
        yield from _read(sys.stdin.buffer.readline)
        return
    kind = special_kind(path)
    if kind and not path.is_fifo():
        raise SourceError(f"{path}: expected a file of frames, found {kind}")
    try:
        with path.open("rb") as file:
            yield from _read(file.readline)
    except OSError as error:
        raise SourceError(f"{path}: cannot be read: {error.strerror}") from None


def _read(readline: Callable[[int], bytes]) -> Iterator[bytes]:
    from skelab.inference.stream import LONGEST_LINE

    while line := readline(LONGEST_LINE + 1):
        if len(line) > LONGEST_LINE and not line.endswith(b"\n"):
            line += b"\n"  # no line that was cut off, but one that is refused
        yield line
