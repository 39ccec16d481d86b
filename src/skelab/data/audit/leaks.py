"""Duplicates across training and test.

In NW-UCLA as distributed, every clip of view 3 of two actions equals its namesake of view 2,
a fifth of the test part. Clips are compared by the digest of their joints, whatever their names.

For sequences, another camera's view of the same recording is a leak as well: the joints differ, but
the actions and their order are the same.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from skelab.data.clips.index import UNKNOWN, ClipIndex
from skelab.data.clips.splits import Split
from skelab.data.clips.store import Excluded


class Leak(NamedTuple):
    """A training clip that is identical to a test clip.

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
        split: The split.

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


def find_other_views(index: ClipIndex, split: Split) -> tuple[Leak, ...]:
    """Training sequences whose recording is in the test part from another camera.

    Recordings are the same if subject, setup, replication and script are; the replication has
    to be known, the others may be unknown. The first test sequence of each is given. Trimmed clips
    are ignored: views of one action on both sides are the purpose of a cross-view split of
    clips means.

    Args:
        index: Names and numbers.
        split: The split.

    Raises:
        SplitError: The split does not fit the clips.
    """
    train, test = split.rows(index)
    columns = (index.subjects, index.setups, index.replications, index.scripts)
    recordings = np.stack(columns, axis=1).tolist()
    usable = index.untrimmed & (index.replications != UNKNOWN) & (index.cameras != UNKNOWN)
    tested: dict[tuple[int, ...], list[int]] = {}
    for row in test[usable[test]].tolist():
        tested.setdefault(tuple(recordings[row]), []).append(row)
    leaks = []
    for row in train[usable[train]].tolist():
        views = tested.get(tuple(recordings[row]), [])
        other = next((view for view in views if index.cameras[view] != index.cameras[row]), None)
        if other is not None:
            leaks.append(Leak(index.names[row], index.names[other]))
    return tuple(leaks)


def leave_out_leaks(split: Split) -> Callable[[ClipIndex, Sequence[bytes]], Sequence[Excluded]]:
    """A filter for ``ingest`` that excludes training duplicates of test clips."""

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
