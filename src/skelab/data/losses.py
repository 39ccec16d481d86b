"""How much of a data set was lost: a set of which a large part cannot be read is not ingested."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

from skelab.data.clips.store import Excluded
from skelab.data.recordings import Source
from skelab.data.recordings.base import MISSING_FILE, NOT_A_SAMPLE, WRONG_LINE, TellsCauses
from skelab.errors import SourceError

MOST_LOST: Final = 0.1
"""Share of the samples that may be lost; NTU RGB+D loses half a per cent."""

_COUNTED: Final = ("damaged", "no body", MISSING_FILE, WRONG_LINE)
"""Causes that are a loss; what was to be ignored, leaks and files of other kinds are none."""


class Losses(NamedTuple):
    """What was lost of a set.

    Attributes:
        lost: Samples that could not be taken.
        total: All samples.
        causes: How many by cause, in words.
        first: The first reason.
    """

    lost: int
    total: int
    causes: str
    first: str

    @property
    def share(self) -> float:
        """The share of the samples that was lost."""
        return self.lost / max(self.total, 1)

    def fault(self, most: float = MOST_LOST) -> str:
        """That too much was lost, in one line; empty where it was not."""
        if not self.lost or (self.lost < self.total and self.share <= most):
            return ""
        if self.lost == self.total:
            return f"none of {self.total:,} samples can be read ({self.causes}): {self.first}"
        return (
            f"{self.lost:,} of {self.total:,} samples are lost, more than {most:.3g} of them"
            f" ({self.causes}), the first: {self.first}"
        )


def count_losses(excluded: Sequence[Excluded], taken: int) -> Losses:
    """What was lost, where ``taken`` samples were not."""
    lost = [entry for entry in excluded if entry.cause in _COUNTED]
    counts = Counter(entry.cause for entry in lost)
    causes = ", ".join(f"{cause} {count:,}" for cause, count in sorted(counts.items()))
    return Losses(len(lost), len(lost) + taken, causes, lost[0].reason if lost else "")


def refuse_losses(excluded: Sequence[Excluded], taken: int, most: float, where: Path) -> None:
    """Refuse to make a store of what is left.

    Args:
        excluded: The samples that were left out.
        taken: How many were not.
        most: Share that may be lost.
        where: The source, for the message.

    Raises:
        SourceError: More was lost, or everything; the message says how to see all and go on.
    """
    losses = count_losses(excluded, taken)
    if not (fault := losses.fault(most)):
        return
    mends = f"; `skelab inspect {where}` lists all"
    if losses.lost < losses.total:
        mends += f", --max-lost {_ceil(losses.share):.2f} takes the others"
    raise SourceError(f"{where}: {fault}{mends}; nothing was written")


def rejected_samples(source: Source) -> tuple[Excluded, ...]:
    """What a source has seen but does not take, each with cause and reason."""
    return tuple(
        Excluded(name, source.cause(name) if isinstance(source, TellsCauses) else NOT_A_SAMPLE, why)
        for name, why in source.rejected
    )


def _ceil(share: float) -> float:
    """The next hundredth."""
    return -int(-share * 100 // 1) / 100
