"""What is known of a public data set before any of its files is read."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from skelab.data.clips.splits import Split
from skelab.data.recordings.base import FolderSource
from skelab.errors import SourceError
from skelab.skeleton import get_layout


def _alone(subject: int) -> tuple[int, ...]:
    """The subject is one person."""
    return (subject,)


@dataclass(frozen=True)
class DatasetCard:
    """One public data set: where it comes from, what it holds, and how results on it are measured.

    Attributes:
        name: Its name in commands, say ``"ntu60"``.
        title: The name that people write.
        kind: What a store of it says in ``dataset``; NTU RGB+D 60 and 120 share one.
        paper: Authors, venue and year.
        home: Where it is given out.
        licence: Terms in a few words, as its makers state them.
        layout: Name of its layout.
        classes: Names of the classes, by label.
        bodies: Most people in a clip.
        recorded: Samples that are given out.
        splits: Its published protocols; data sets of one kind may share them.
        counts: Training and test clips of each split, without the missing samples.
        missing: Samples in the makers' list of samples to leave out.
        readers: What reads its recordings.
        untrimmed: Whether its recordings are sequences with segments, and not clips.
        also_as: Kinds of prepared files without a data set of their own that it is passed on in.
        units: What its coordinates are in.
        up: Where heads lie above feet in its recordings; None where that is not known for certain.
        people: Tells the people who perform under a subject number; that one person by default.

    Raises:
        SourceError: A count is of no split of the data set, or does not add up.
        LayoutError: There is no such layout.
    """

    name: str
    title: str
    kind: str
    paper: str
    home: str
    licence: str
    layout: str
    classes: tuple[str, ...]
    bodies: int
    recorded: int
    splits: tuple[Split, ...]
    counts: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    missing: int = 0
    readers: tuple[type[FolderSource], ...] = ()
    untrimmed: bool = False
    also_as: tuple[str, ...] = ()
    units: str = "metres"
    up: str | None = "+y"
    people: Callable[[int], tuple[int, ...]] = _alone

    def __post_init__(self) -> None:
        """Check the card against itself once."""
        get_layout(self.layout)
        known = {split.name for split in self.splits}
        for name, parts in self.counts.items():
            if name not in known or sum(parts) != self.clips:
                raise SourceError(
                    f"card of {self.title}, counts of {name!r}: expected one of its splits, and"
                    f" {self.clips} clips in all, found {sum(parts)}"
                )

    @property
    def clips(self) -> int:
        """Samples without the missing ones."""
        return self.recorded - self.missing

    def to_dict(self) -> dict[str, Any]:
        """The card as plain values, for JSON."""
        plain = {
            key: getattr(self, key)
            for key in (
                *("name", "title", "kind", "paper", "home", "licence", "layout", "units", "up"),
                *("bodies", "untrimmed", "recorded", "missing", "clips"),
            )
        }
        splits = [
            {
                "name": split.name,
                "by": split.by,
                "train": sorted(split.train),
                "test": sorted(split.test),
                "clips": list(self.counts[split.name]) if split.name in self.counts else None,
                "source": split.source,
            }
            for split in self.splits
        ]
        readers = [reader.expects for reader in self.readers]
        return {**plain, "readers": readers, "splits": splits, "classes": list(self.classes)}
