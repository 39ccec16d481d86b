"""Clips that stand on both sides of a split: a network is tested on what it was trained on.

In NW-UCLA as it is passed on, every clip of view 3 of two actions equals its namesake of view 2,
a fifth of the test part. Clips are compared by the digest of their joints, whatever their names.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from skelab.data.clips.index import ClipIndex
from skelab.data.clips.splits import Split
from skelab.data.clips.store import Excluded


class Leak(NamedTuple):
    """A training clip that equals a test clip, number for number.

    Attributes:
        train: Name of the training clip.
        test: Name of the first test clip that it equals.
    """

    train: str
    test: str


def find_leaks(index: ClipIndex, digests: Sequence[bytes], split: Split) -> tuple[Leak, ...]:
    """Training clips that equal a test clip, in index order.

    Args:
        index: Names and numbers of the clips.
        digests: Digest of the joints of each clip, as a store has them.
        split: What divides them.

    Raises:
        SplitError: The split does not fit the clips.
    """
    train, test = split.rows(index)
    tested: dict[bytes, str] = {}
    for row in test:
        tested.setdefault(digests[row], index.names[row])
    return tuple(
        Leak(index.names[row], tested[digests[row]]) for row in train if digests[row] in tested
    )


def leave_out_leaks(split: Split) -> Callable[[ClipIndex, Sequence[bytes]], Sequence[Excluded]]:
    """What tells an ingest to leave out the training copies of test clips, with their reason."""

    def leave_out(index: ClipIndex, digests: Sequence[bytes]) -> Sequence[Excluded]:
        return [
            Excluded(
                leak.train,
                "leak",
                f"{leak.train}: equals {leak.test} of the test part of {split.name}",
            )
            for leak in find_leaks(index, digests, split)
        ]

    return leave_out
