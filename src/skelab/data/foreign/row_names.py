"""Names for rows that carry none: rebuilt from the order of the authors' program, and proven."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np

from skelab.data.clips.clip import SampleInfo
from skelab.data.datasets import open_source
from skelab.data.foreign.clips import Part
from skelab.data.foreign.orders import ctrgcn_row_order
from skelab.data.recordings.ignore_list import read_ignore_list
from skelab.data.recordings.sample_name import parse_sample_name
from skelab.errors import DataError, SourceError, SplitError
from skelab.files.archives import is_archive

_BENCHMARKS: Final = ("xsub", "xview", "xset")

_MARKS: Final = {
    "CSET": "xset",
    "XSET": "xset",
    "XVIEW": "xview",
    "_CV": "xview",
    "XSUB": "xsub",
    "CSUB": "xsub",
    "_CS": "xsub",
}
"""What CTR-GCN's authors call the file of each benchmark; NTU120_CSet is none of cross-subject."""


def read_samples(path: Path) -> tuple[SampleInfo, ...]:
    """All samples by name: one a line, or the ``.skeleton`` files of a source.

    Args:
        path: A text file such as the authors' ``skes_available_name.txt``, or a folder or zip of
            NTU RGB+D, of which only the listing is read.

    Raises:
        SourceError: Nothing can be read or nothing is named, or a name is not one of NTU RGB+D.
    """
    if path.is_dir() or is_archive(path):
        return tuple(item.info for item in open_source(path).items())
    try:
        return tuple(parse_sample_name(name) for name in read_ignore_list(path))
    except DataError as error:
        raise SourceError(f"{path}: {error}") from None


def rebuild_names(
    parts: Sequence[Part],
    samples: Sequence[SampleInfo],
    ignore: Sequence[str] = (),
    *,
    file: str = "",
) -> tuple[str, tuple[SampleInfo, ...]]:
    """The sample in each row, train rows first, and the benchmark whose order it is.

    The rows of CTR-GCN's files go by subject, camera or setup and then by name. Each order is
    laid beside all labels of the file, and one is taken only if every row agrees.

    Args:
        parts: The arrays of the file.
        samples: Every sample of the data set.
        ignore: Samples that the authors left out; where they stand in the file after all, the
            names are tried with them as well.
        file: Name of the file; of several orders that fail, the message speaks of that which the
            authors' name for the file means, say xsub for ``NTU60_CS.npz``.

    Raises:
        SourceError: No order agrees (the message has the first row that does not), or several do
            that name the rows differently.
    """
    missing = set(ignore)
    lists = [tuple(sample for sample in samples if sample.name not in missing)]
    if len(lists[0]) < len(samples):
        lists.append(tuple(samples))
    proven: dict[tuple[str, ...], tuple[str, tuple[SampleInfo, ...]]] = {}
    faults: list[tuple[bool, int, str]] = []
    meant = next((order for mark, order in _MARKS.items() if mark in file.upper()), None)
    for infos in lists:
        for benchmark in _BENCHMARKS:
            agreeing, found = _lay_beside(parts, infos, benchmark)
            if isinstance(found, str):
                faults.append((benchmark == meant, agreeing, found))
            else:
                proven.setdefault(tuple(info.name for info in found), (benchmark, found))
    if len(proven) > 1:
        several = " and ".join(sorted({benchmark for benchmark, _ in proven.values()}))
        raise SourceError(
            f"expected one order of the names to agree with all labels, found {several}, which name"
            " the rows differently"
        )
    if not proven:
        raise SourceError(max(faults)[2])
    return next(iter(proven.values()))


def _lay_beside(
    parts: Sequence[Part], infos: Sequence[SampleInfo], benchmark: str
) -> tuple[int, str | tuple[SampleInfo, ...]]:
    """How many rows agree with an order before the first that does not, and what is wrong there.

    Where nothing is wrong, the samples in that order.
    """
    try:
        orders = dict(zip(("train", "test"), ctrgcn_row_order(infos, benchmark), strict=True))
    except SplitError as error:
        return -2, str(error)
    wanted = {part.name: len(part.rows) for part in parts}
    counts = {part: len(order) for part, order in orders.items() if part in wanted}
    if counts != wanted:
        return -1, (
            f"expected names for {_counted(wanted)} rows, found that {len(infos):,} names give"
            f" {_counted(counts)} in the order of {benchmark}; --ignore takes the authors' list of"
            " missing samples"
        )
    named: list[SampleInfo] = []
    for part in parts:
        samples = [infos[position] for position in orders[part.name]]
        labels = np.array([sample.label for sample in samples])
        wrong = np.flatnonzero(labels != part.labels)
        if len(wrong):
            row = int(wrong[0])
            return len(named) + row, (
                f"{part.rows.title}, row {row}: expected label {labels[row]}, as"
                f" {samples[row].name} has in the order of {benchmark}, found {part.labels[row]}"
                f" ({len(wrong):,} of {len(labels):,} rows disagree)"
            )
        named += [replace(sample, parts=(part.name,)) for sample in samples]
    return len(named), tuple(named)


def _counted(counts: dict[str, int]) -> str:
    return " and ".join(f"{count:,} {part}" for part, count in counts.items())
