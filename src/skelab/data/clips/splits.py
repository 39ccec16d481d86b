"""Splits into training and test part.

Published splits belong to the data sets, see :mod:`skelab.data.datasets`.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Int64
from numpy import ndarray

from skelab.data.clips.index import UNKNOWN, ClipIndex
from skelab.errors import SplitError, unknown_name

GIVEN: Final = "given"
"""Name of the split that the source itself defines."""

COLUMNS: Final = {
    "subject": "subjects",
    "camera": "cameras",
    "setup": "setups",
    "replication": "replications",
    "script": "scripts",
}
"""The criteria of splits, each with its column of the index."""


@dataclass(frozen=True)
class Split:
    """A split by a number of the clips, such as the subject.

    Attributes:
        name: Its name, or the text that defines it.
        by: The criterion: subject, camera, setup, replication or script.
        train: Numbers of the training part, as in the data set (from 1).
        test: Numbers of the test part.
        source: Publication of the protocol.
    """

    name: str
    by: str
    train: frozenset[int]
    test: frozenset[int]
    source: str = ""

    def column(self, index: ClipIndex) -> Int64[ndarray, " N"]:
        """The column of the index that the split uses."""
        numbers: Int64[ndarray, " N"] = getattr(index, COLUMNS[self.by])
        return numbers

    def rows(self, index: ClipIndex) -> tuple[Int64[ndarray, " A"], Int64[ndarray, " B"]]:
        """Training rows and test rows of an index, each in index order.

        Raises:
            SplitError: The clips do not have the column, or a part is empty.
        """
        column = self.column(index)
        if (column == UNKNOWN).any():
            count = int((column == UNKNOWN).sum())
            raise SplitError(
                f"split {self.name} goes by {self.by}, which {count} of {len(index)} clips lack"
                f"{_instead(index)}"
            )
        parts = tuple(
            np.flatnonzero(np.isin(column, sorted(numbers))) for numbers in (self.train, self.test)
        )
        for part, rows, numbers in zip(
            ("training", "test"), parts, (self.train, self.test), strict=True
        ):
            if not len(rows):
                raise SplitError(
                    f"split {self.name}: no clip for the {part} part, expected a {self.by} of"
                    f" {_listed(numbers)}, found {_listed(column.tolist())}"
                )
        return parts[0], parts[1]


@dataclass(frozen=True)
class GivenSplit(Split):
    """A split that the source itself defines by parts.

    Attributes:
        train_parts: Parts of the source for training; empty for the only split of the source.
        test_parts: Parts for testing; empty likewise.
    """

    train_parts: frozenset[str] = frozenset()
    test_parts: frozenset[str] = frozenset()

    def rows(self, index: ClipIndex) -> tuple[Int64[ndarray, " A"], Int64[ndarray, " B"]]:
        """Training rows and test rows of an index, each in index order.

        Raises:
            SplitError: The source does not divide the clips, has several splits and none was
                named, or a part is empty or on both sides.
        """
        train, test = self._parts_of(index)
        train_rows, test_rows = _rows_in(index, train), _rows_in(index, test)
        for wanted, rows in ((train, train_rows), (test, test_rows)):
            if not len(rows):
                raise SplitError(
                    f"split {self.name}: expected clips of part {', '.join(sorted(wanted))}, found"
                    f" those of {', '.join(list_parts(index)) or 'no part'}"
                )
        twice = np.intersect1d(train_rows, test_rows)
        if len(twice):
            raise SplitError(
                f"split {self.name}: {index.names[twice[0]]} is on both sides, as are"
                f" {len(twice) - 1} other clips"
            )
        return train_rows, test_rows

    def _parts_of(self, index: ClipIndex) -> tuple[frozenset[str], frozenset[str]]:
        """The parts of each side; the only pair of the source if none was named."""
        if self.train_parts:
            return self.train_parts, self.test_parts
        present = list_parts(index)
        pairs = [
            (train, test)
            for train in present
            for ending in ("test", "val")
            if train.endswith("train") and (test := f"{train[:-5]}{ending}") in present
        ]
        if not pairs:
            found = f"the parts {', '.join(present)}" if present else "no part"
            raise SplitError(
                f"split {self.name} goes by the file's own parts: expected train and test, found"
                f" {found}; --split subject:1,3/2,4 writes a split out"
            )
        if len(pairs) > 1:
            written = " or ".join(f"part:{train}/{test}" for train, test in pairs)
            raise SplitError(
                f"split {self.name}: the file has {len(pairs)} splits of its own; say which:"
                f" {written}"
            )
        train, test = pairs[0]
        return frozenset({train}), frozenset({test})


@dataclass(frozen=True)
class CrossedSplit(Split):
    """A split by one criterion that withholds numbers of another one from training.

    Training rows are in both training parts. Test rows are in the first test part, and in either
    part of the second: some of them differ from training by the first criterion alone, and others
    by both, say people, and people and script.

    Attributes:
        crossed: The second split.
    """

    crossed: Split | None = None

    def rows(self, index: ClipIndex) -> tuple[Int64[ndarray, " A"], Int64[ndarray, " B"]]:
        """Training rows and test rows of an index, each in index order.

        Raises:
            SplitError: The clips do not have a column, or a part is empty.
        """
        train, test = super().rows(index)
        if self.crossed is None:
            return train, test
        other_train, other_test = self.crossed.rows(index)
        train = np.intersect1d(train, other_train)
        test = np.intersect1d(test, np.union1d(other_train, other_test))
        if not len(train) or not len(test):
            raise SplitError(
                f"split {self.name}: no clip for the {'test' if len(train) else 'training'} part,"
                f" where {self.by} and {self.crossed.by} must both fit"
            )
        return train, test


def list_parts(index: ClipIndex) -> tuple[str, ...]:
    """The parts of the source's own splits, by name."""
    return tuple(sorted({part for parts in set(index.parts) for part in parts}))


def parse_written_split(text: str, names: Iterable[str] = ()) -> Split:
    """Parse a split: ``subject:1,3,5/7``, ``part:a_train/a_val`` or ``given``.

    ``subject:1,3/5+script:1,2/3`` withholds script 3 from training, see ``CrossedSplit``.

    Args:
        text: The split.
        names: Further known names, for the message about an unknown one.

    Raises:
        SplitError: The text cannot be read.
    """
    if text == GIVEN:
        return GivenSplit(GIVEN, "part", frozenset(), frozenset(), "the file's own parts")
    if parts := re.fullmatch(r"part:([^/]+)/([^/]+)", text):
        train_parts, test_parts = (frozenset(side.split(",")) for side in parts.groups())
        return GivenSplit(text, "part", frozenset(), frozenset(), "", train_parts, test_parts)
    if "+" in text:
        first, _, second = text.partition("+")
        one, two = parse_written_split(first, names), parse_written_split(second, names)
        if isinstance(one, GivenSplit) or isinstance(two, GivenSplit) or one.by == two.by:
            raise SplitError(
                f"split {text}: expected two different criteria, say"
                " subject:1,3/5+script:1,2/3, found others"
            )
        return CrossedSplit(text, one.by, one.train, one.test, "", two)
    match = re.fullmatch(r"(\w+):([\d,\-]+)/([\d,\-]+)", text)
    if match is None or match[1] not in COLUMNS:
        raise SplitError(
            f"{unknown_name('split', text, (*names, GIVEN))};"
            " or written out as BY:TRAIN/TEST, say subject:1,3,5/7"
            f" (BY is one of {', '.join(COLUMNS)}, part)"
        )
    train, test = _numbers(match[2], text), _numbers(match[3], text)
    if train & test:
        raise SplitError(f"split {text}: {_listed(train & test)} is on both sides")
    return Split(text, match[1], train, test)


def _numbers(text: str, where: str) -> frozenset[int]:
    chosen: set[int] = set()
    for piece in text.split(","):
        match = re.fullmatch(r"(\d{1,9})(?:-(\d{1,9}))?", piece)
        if match is None:
            raise SplitError(
                f"split {where}: expected numbers such as 1,3,5 or 1-8, found {piece!r}"
            )
        first, last = int(match[1]), int(match[2] or match[1])
        if not first <= last <= first + 9999:
            raise SplitError(f"split {where}: {piece} is not a range that rises")
        chosen.update(range(first, last + 1))
    return frozenset(chosen)


def _rows_in(index: ClipIndex, parts: frozenset[str]) -> Int64[ndarray, " R"]:
    """Rows in any of these parts."""
    rows = [row for row, found in enumerate(index.parts) if not parts.isdisjoint(found)]
    return np.array(rows, dtype=np.int64)


def _instead(index: ClipIndex) -> str:
    """A hint at the split that is available instead."""
    return f"; split {GIVEN!r} goes by the file's own parts" if list_parts(index) else ""


def _listed(numbers: Iterable[int]) -> str:
    found = sorted({int(number) for number in numbers})
    shown = ", ".join(map(str, found[:12]))
    return f"{shown}, … ({len(found)} in all)" if len(found) > 12 else shown or "none"
