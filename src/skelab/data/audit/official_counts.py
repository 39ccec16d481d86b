"""Compares a data set with the clip counts of its published splits."""

from dataclasses import dataclass
from typing import Final

from skelab.data.clips.index import ClipIndex
from skelab.data.clips.splits import GIVEN
from skelab.data.datasets import list_datasets, parse_split
from skelab.data.recordings import DatasetCard
from skelab.errors import SplitError


@dataclass(frozen=True)
class CountCheck:
    """The comparison of a set with the official counts.

    Attributes:
        title: The data set that its size suggests.
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


_CLOSE: Final = 0.01  # relative deviation from the official size of a complete set


def check_counts(index: ClipIndex, dataset: str) -> CountCheck | None:
    """Compare a set with the data set that its size suggests; None without one.

    A set within one per cent of the official size counts as complete. Its splits are compared
    as far as the clips have subjects, cameras and setups; rows without names are compared by the
    two parts that their file puts them in.

    Args:
        index: The clips.
        dataset: Kind of their source.
    """
    possible = [card for card in list_datasets() if dataset in (card.kind, *card.also_as)]
    official = next((card for card in possible if _claims(len(index), card)), None)
    if official is None:
        return None
    differences = [] if len(index) == official.clips else [_total(len(index), official)]
    compared = False
    for name, expected in official.counts.items():
        found = _sizes(index, name)
        compared = compared or found is not None
        if found is not None and found != expected:
            differences.append(_difference(name, found, expected))
    given = _sizes(index, GIVEN)
    if not compared and given is not None and given not in official.counts.values():
        wanted = " nor ".join(_pair(pair) for pair in official.counts.values())
        differences.append(f"its own parts have {_pair(given)} clips, neither {wanted}")
    return CountCheck(official.title, tuple(differences))


def _claims(size: int, official: DatasetCard) -> bool:
    return official.clips * (1 - _CLOSE) <= size <= official.recorded * (1 + _CLOSE)


def _sizes(index: ClipIndex, split: str) -> tuple[int, int] | None:
    try:
        train, test = parse_split(split).rows(index)
    except SplitError:
        return None
    return len(train), len(test)


def _total(found: int, official: DatasetCard) -> str:
    surplus = found - official.clips
    said = f"{found:,} clips, {abs(surplus):,} {'more' if surplus > 0 else 'fewer'} than"
    said += f" {official.clips:,}"
    if surplus > 0 and official.missing:
        said += f" (--ignore takes the makers' list of {official.missing} missing samples)"
    return said


def _difference(split: str, found: tuple[int, int], expected: tuple[int, int]) -> str:
    return f"{split} has {_pair(found)} clips, not {_pair(expected)}"


def _pair(sizes: tuple[int, int]) -> str:
    return f"{sizes[0]:,} + {sizes[1]:,}"
