"""The index of a set of clips: columns of names, labels, subjects and so on."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, fields
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Int64
from numpy import ndarray

from skelab.data.clips.clip import SampleInfo
from skelab.errors import DataError

UNKNOWN = -1
"""Placeholder in a column for an unknown number."""


@dataclass(frozen=True)
class ClipIndex:
    """One row per clip. Numbers are those of the data set, from 1; ``UNKNOWN`` where not given.

    Attributes:
        names: Unique names.
        labels: Class indices, counted from 0.
        subjects: Performers.
        cameras: Cameras, or views.
        setups: Setups of the recording.
        replications: Takes, repetitions or episodes.
        parts: Parts of the source's own splits for each clip; empty if it has none.
        scripts: Scripts of the performers; empty if no clip has one.
        untrimmed: Mask of rows that are sequences; empty if none is.

    Raises:
        DataError: Two clips share a name, or columns have different lengths.
    """

    names: tuple[str, ...]
    labels: Int64[ndarray, " N"]
    subjects: Int64[ndarray, " N"]
    cameras: Int64[ndarray, " N"]
    setups: Int64[ndarray, " N"]
    replications: Int64[ndarray, " N"]
    parts: tuple[tuple[str, ...], ...] = ()
    scripts: Int64[ndarray, " N"] = field(default_factory=lambda: np.empty(0, np.int64))
    untrimmed: Bool[ndarray, " N"] = field(default_factory=lambda: np.empty(0, np.bool_))

    def __post_init__(self) -> None:
        """Check names and lengths."""
        rows = len(self.names)
        for name, value in (
            ("parts", ((),) * rows),
            ("scripts", np.full(rows, UNKNOWN, np.int64)),
            ("untrimmed", np.zeros(rows, np.bool_)),
        ):
            if not len(getattr(self, name)):
                object.__setattr__(self, name, value)
        if len(set(self.names)) != len(self.names):
            twice = next(name for name, count in Counter(self.names).items() if count > 1)
            raise DataError(f"two clips are called {twice!r}; names must be unique")
        for column in fields(self):
            if len(getattr(self, column.name)) != len(self.names):
                raise DataError(
                    f"{len(self.names)} names but {len(getattr(self, column.name))} {column.name}"
                )

    @classmethod
    def of(cls, infos: Iterable[SampleInfo]) -> "ClipIndex":
        """Build an index from rows."""
        rows = list(infos)

        def column(values: Iterable[int | None]) -> Int64[ndarray, " N"]:
            return np.array([UNKNOWN if v is None else v for v in values], dtype=np.int64)

        return cls(
            names=tuple(info.name for info in rows),
            labels=column(info.label for info in rows),
            subjects=column(info.subject for info in rows),
            cameras=column(info.camera for info in rows),
            setups=column(info.setup for info in rows),
            replications=column(info.replication for info in rows),
            parts=tuple(info.parts for info in rows),
            scripts=column(info.script for info in rows),
            untrimmed=np.array([info.untrimmed for info in rows], dtype=np.bool_),
        )

    def __len__(self) -> int:
        return len(self.names)

    @cached_property
    def rows_by_name(self) -> dict[str, int]:
        """The row of each name."""
        return {name: row for row, name in enumerate(self.names)}

    def sample(self, row: int) -> SampleInfo:
        """The metadata of one row, ``None`` where unknown."""
        return SampleInfo(
            name=self.names[row],
            label=_known(self.labels.item(row)),
            subject=_known(self.subjects.item(row)),
            camera=_known(self.cameras.item(row)),
            setup=_known(self.setups.item(row)),
            replication=_known(self.replications.item(row)),
            parts=self.parts[row],
            script=_known(self.scripts.item(row)),
            untrimmed=self.untrimmed.item(row),
        )

    def select(self, rows: Sequence[int] | Int64[ndarray, " R"]) -> "ClipIndex":
        """The index of selected rows, in the given order."""
        chosen = np.asarray(rows, dtype=np.int64)
        return ClipIndex(
            names=tuple(self.names[row] for row in chosen),
            labels=self.labels[chosen],
            subjects=self.subjects[chosen],
            cameras=self.cameras[chosen],
            setups=self.setups[chosen],
            replications=self.replications[chosen],
            parts=tuple(self.parts[row] for row in chosen),
            scripts=self.scripts[chosen],
            untrimmed=self.untrimmed[chosen],
        )


def _known(number: int) -> int | None:
    return None if number == UNKNOWN else number
