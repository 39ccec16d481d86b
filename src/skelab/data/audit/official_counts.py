"""How many clips the published splits have, and whether a set that looks complete has as many."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from skelab.data.clips.index import ClipIndex
from skelab.data.clips.splits import GIVEN, parse_split
from skelab.errors import SplitError


@dataclass(frozen=True)
class OfficialCounts:
    """The official size of a data set.

    Attributes:
        title: The data set.
        recorded: Samples that its makers give out.
        missing: Samples in the makers' list of missing skeletons.
        parts: Training and test clips of each split, those samples left out.
    """

    title: str
    recorded: int
    missing: int
    parts: Mapping[str, tuple[int, int]]

    @property
    def clips(self) -> int:
        """Samples that are left."""
        return self.recorded - self.missing


@dataclass(frozen=True)
class CountCheck:
    """What came of comparing a set with the official counts.

    Attributes:
        title: The data set that it claims to be.
        differences: One line for each number that differs; empty where all agree.
    """

    title: str
    differences: tuple[str, ...]

    @property
    def summary(self) -> str:
        """The outcome in a line."""
        if not self.differences:
            return f"every count is that of {self.title}"
        return f"looks like {self.title}, but {'; '.join(self.differences)}"


_CLOSE: Final = 0.01  # a set of this share around the official size claims to be complete

OFFICIAL_COUNTS: Final = (
    OfficialCounts(
        title="NTU RGB+D 60",
        recorded=56_880,
        missing=302,
        parts={"xsub": (40_091, 16_487), "xview": (37_646, 18_932)},
    ),
    OfficialCounts(
        title="NTU RGB+D 120",
        recorded=114_480,
        missing=535,
        parts={"xsub": (63_026, 50_919), "xset": (54_468, 59_477)},
    ),
)
"""Sizes that are published or follow from the names of all samples.

Source: Shahroudy et al., CVPR 2016; Liu et al., TPAMI 2019; the authors' lists of missing samples.
"""


def check_counts(index: ClipIndex, dataset: str) -> CountCheck | None:
    """Compare a set with the data set that it claims to be by its size; None if it claims nothing.

    A set within one per cent of the official size claims to be complete. Its splits are compared
    as far as the clips have subjects, cameras and setups; rows without names are compared by the
    two parts that their file puts them in.

    Args:
        index: The clips.
        dataset: Kind of their source.
    """
    official = next((known for known in OFFICIAL_COUNTS if _claims(len(index), known)), None)
    if official is None or dataset not in ("ntu", "npz", "npy-pkl", "pyskl"):
        return None
    differences = [] if len(index) == official.clips else [_total(len(index), official)]
    compared = False
    for name, expected in official.parts.items():
        found = _sizes(index, name)
        compared = compared or found is not None
        if found is not None and found != expected:
            differences.append(_difference(name, found, expected))
    given = _sizes(index, GIVEN)
    if not compared and given is not None and given not in official.parts.values():
        wanted = " nor ".join(_pair(pair) for pair in official.parts.values())
        differences.append(f"its own parts have {_pair(given)} clips, neither {wanted}")
    return CountCheck(official.title, tuple(differences))


def _claims(size: int, official: OfficialCounts) -> bool:
    return official.clips * (1 - _CLOSE) <= size <= official.recorded * (1 + _CLOSE)


def _sizes(index: ClipIndex, split: str) -> tuple[int, int] | None:
    try:
        train, test = parse_split(split).rows(index)
    except SplitError:
        return None
    return len(train), len(test)


def _total(found: int, official: OfficialCounts) -> str:
    surplus = found - official.clips
    said = f"{found:,} clips, {abs(surplus):,} {'more' if surplus > 0 else 'fewer'} than"
    said += f" {official.clips:,}"
    if surplus > 0:
        said += f" (--ignore takes the makers' list of {official.missing} missing samples)"
    return said


def _difference(split: str, found: tuple[int, int], expected: tuple[int, int]) -> str:
    return f"{split} has {_pair(found)} clips, not {_pair(expected)}"


def _pair(sizes: tuple[int, int]) -> str:
    return f"{sizes[0]:,} + {sizes[1]:,}"
