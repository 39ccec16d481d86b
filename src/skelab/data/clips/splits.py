"""Benchmark protocols: which clips train, which test, and how validation is cut from training."""

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
"""Name of the split that the file itself makes."""

_COLUMNS: Final = {
    "subject": "subjects",
    "camera": "cameras",
    "setup": "setups",
    "replication": "replications",
    "script": "scripts",
}


@dataclass(frozen=True)
class Split:
    """A protocol: clips whose number stands in ``train`` train, those in ``test`` test.

    Attributes:
        name: Its name, or the text that wrote it.
        by: The column that decides: subject, camera, setup, replication or script.
        train: Numbers of the training part, as the data set counts them (from 1).
        test: Numbers of the test part.
        source: Where the protocol is published.
    """

    name: str
    by: str
    train: frozenset[int]
    test: frozenset[int]
    source: str = ""

    def column(self, index: ClipIndex) -> Int64[ndarray, " N"]:
        """What decides where each clip belongs."""
        numbers: Int64[ndarray, " N"] = getattr(index, _COLUMNS[self.by])
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
    """The split that the file itself makes: clips go by the parts that it puts them in.

    Attributes:
        train_parts: Parts of the file that train; empty where the file's only split is meant.
        test_parts: Parts that test; empty likewise.
    """

    train_parts: frozenset[str] = frozenset()
    test_parts: frozenset[str] = frozenset()

    def rows(self, index: ClipIndex) -> tuple[Int64[ndarray, " A"], Int64[ndarray, " B"]]:
        """Training rows and test rows of an index, each in index order.

        Raises:
            SplitError: The clips were not divided by their file, were divided in several ways
                while none was named, or a part is empty or on both sides.
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
        """The parts of each side; where none were named, the only pair that the file has."""
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


def list_parts(index: ClipIndex) -> tuple[str, ...]:
    """The parts of the file's own splits that the clips are in, by name."""
    return tuple(sorted({part for parts in set(index.parts) for part in parts}))


def parse_split(text: str) -> Split:
    """A split by its name (``xsub``), or written out (``subject:1,3,5/7``: train / test).

    Ranges are allowed: ``setup:1-8/9-17``. ``given`` is the split that the file itself makes,
    ``part:xsub_train/xsub_val`` one of several that it makes.

    Raises:
        SplitError: The name is unknown or the text cannot be read.
    """
    if text in _NAMED:
        return _NAMED[text]
    if text == GIVEN:
        return GivenSplit(GIVEN, "part", frozenset(), frozenset(), "the file's own parts")
    if parts := re.fullmatch(r"part:([^/]+)/([^/]+)", text):
        train_parts, test_parts = (frozenset(side.split(",")) for side in parts.groups())
        return GivenSplit(text, "part", frozenset(), frozenset(), "", train_parts, test_parts)
    match = re.fullmatch(r"(\w+):([\d,\-]+)/([\d,\-]+)", text)
    if match is None or match[1] not in _COLUMNS:
        raise SplitError(
            f"{unknown_name('split', text, (*_NAMED, GIVEN))};"
            " or written out as BY:TRAIN/TEST, say subject:1,3,5/7"
            f" (BY is one of {', '.join(_COLUMNS)}, part)"
        )
    train, test = _numbers(match[2], text), _numbers(match[3], text)
    if train & test:
        raise SplitError(f"split {text}: {_listed(train & test)} is on both sides")
    return Split(text, match[1], train, test)


def list_splits() -> tuple[Split, ...]:
    """The published protocols, by name."""
    return tuple(_NAMED[name] for name in sorted(_NAMED))


def hold_out_subjects(
    index: ClipIndex, rows: Int64[ndarray, " A"], num_subjects: int, seed: int
) -> tuple[Int64[ndarray, " B"], Int64[ndarray, " C"]]:
    """Cut validation from the training rows by subject; returns what trains and what validates.

    The subjects are drawn by ``seed``; nobody stands on both sides.

    Raises:
        SplitError: The clips lack subjects, or too few would be left to train.
    """
    if num_subjects == 0:
        return rows, rows[:0]
    subjects = index.subjects[rows]
    if (subjects == UNKNOWN).any():
        raise SplitError(
            "validation goes by subject, which these clips lack;"
            " --set data.validation_subjects=0 trains without"
        )
    present = np.unique(subjects)
    if num_subjects >= len(present):
        raise SplitError(
            f"{num_subjects} validation subjects were asked for, but the training part has only"
            f" {len(present)}; at least one must be left to train"
        )
    chosen = np.random.default_rng(seed).choice(present, size=num_subjects, replace=False)
    held_out = np.isin(subjects, chosen)
    return rows[~held_out], rows[held_out]


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
    """The rows that are in any of these parts."""
    rows = [row for row, found in enumerate(index.parts) if not parts.isdisjoint(found)]
    return np.array(rows, dtype=np.int64)


def _instead(index: ClipIndex) -> str:
    """Which split there is, where the wanted one cannot be."""
    return f"; split {GIVEN!r} goes by the file's own parts" if list_parts(index) else ""


def _listed(numbers: Iterable[int]) -> str:
    found = sorted({int(number) for number in numbers})
    shown = ", ".join(map(str, found[:12]))
    return f"{shown}, … ({len(found)} in all)" if len(found) > 12 else shown or "none"


_XSUB_TRAIN: Final = frozenset(
    [
        *[1, 2, 4, 5, 8, 9, 13, 14, 15, 16, 17, 18, 19, 25, 27, 28, 31, 34, 35, 38],
        *[45, 46, 47, 49, 50, 52, 53, 54, 55, 56, 57, 58, 59, 70, 74, 78, 80, 81, 82, 83],
        *[84, 85, 86, 89, 91, 92, 93, 94, 95, 97, 98, 100, 103],
    ]
)
"""NTU 60's twenty training subjects, and those that NTU 120 adds (all above 40)."""

_SBU_FOLDS: Final = (
    frozenset({102, 304, 502, 604}),
    frozenset({203, 207, 305, 503}),
    frozenset({103, 107, 701, 703}),
    frozenset({201, 206, 302, 306}),
    frozenset({402, 403, 406, 602, 603}),
)
"""Pairs of performers, 100 * A + B as the reader of SBU counts them."""

_SBU: Final = "Yun et al., CVPRW 2012: five folds by pair, each tests once"
_PKU: Final = "Liu et al., arXiv:1703.07475"
_PKU_TEST: Final = frozenset(range(291, 335))
"""Recordings of PKU-MMD's test subjects, in all three views."""

_NTU: Final = "Shahroudy et al., CVPR 2016; Liu et al., TPAMI 2019"
_NAMED: Final = {
    split.name: split
    for split in (
        Split("xsub", "subject", _XSUB_TRAIN, frozenset(range(1, 107)) - _XSUB_TRAIN, _NTU),
        Split("xview", "camera", frozenset({2, 3}), frozenset({1}), _NTU),
        Split("xset", "setup", frozenset(range(2, 33, 2)), frozenset(range(1, 33, 2)), _NTU),
        Split(
            "utd",
            "subject",
            frozenset({1, 3, 5, 7}),
            frozenset({2, 4, 6, 8}),
            "Chen et al., ICIP 2015: odd subjects train, even ones test",
        ),
        Split(
            "ucla",
            "camera",
            frozenset({1, 2}),
            frozenset({3}),
            "Wang et al., CVPR 2014: views 1 and 2 train, view 3 tests",
        ),
        Split("pku-xsub", "replication", frozenset(range(1, 365)) - _PKU_TEST, _PKU_TEST, _PKU),
        Split("pku-xview", "camera", frozenset({2, 3}), frozenset({1}), _PKU),
        *(
            Split(f"sbu-fold{number}", "subject", frozenset().union(*_SBU_FOLDS) - fold, fold, _SBU)
            for number, fold in enumerate(_SBU_FOLDS, start=1)
        ),
    )
}
