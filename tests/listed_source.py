"""A source of made-up recordings that does as it is told: reads slowly, fails, or kills."""

import hashlib
import os
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from zlib import crc32

import numpy as np

from skelab.data.clips.clip import BodyTrack, RawClip, SampleInfo
from skelab.data.recordings import SourceItem
from skelab.errors import DataError
from skelab.skeleton import Layout, get_layout

SBU15 = get_layout("sbu15")


@dataclass(frozen=True)
class ListedSource:
    """``size`` recordings of one body, each made up from its name alone.

    Attributes:
        path: A folder; ``reads.txt`` in it names each recording that was read, in order.
        size: How many there are.
        damaged: Names whose recording cannot be read.
        empty: Names whose recording has nobody in it.
        deadly: Names that kill the process that reads them.
        delay: Seconds that a reading takes.
        version: Part of the digest, as if the files had changed.
        rejected: What the source says it has seen beside its samples.
        layout: The joints.
    """

    path: Path
    size: int
    damaged: frozenset[str] = frozenset()
    empty: frozenset[str] = frozenset()
    deadly: frozenset[str] = frozenset()
    delay: float = 0.0
    version: int = 0
    rejected: tuple[tuple[str, str], ...] = ()
    layout: Layout = SBU15
    kind: str = "listed"
    classes: tuple[str, ...] = ("wave", "sit", "fall")
    synthetic: bool = True
    units: str = "metres"

    def items(self) -> Sequence[SourceItem]:
        return [
            SourceItem(SampleInfo(name, label=row % 3, subject=row % 5 + 1), f"{name}.txt")
            for row, name in enumerate(self.names)
        ]

    def read(self, item: SourceItem) -> RawClip:
        name = item.info.name
        with (self.path / "reads.txt").open("a") as log:
            log.write(f"{name}\n")
        time.sleep(self.delay)
        if name in self.deadly:
            os.kill(os.getpid(), signal.SIGKILL)
        if name in self.damaged:
            raise DataError(f"{self.path / item.location}, line 3: expected a pose, found the end")
        rng = np.random.default_rng(crc32(name.encode()))
        frames = int(rng.integers(3, 9))
        pose = rng.normal(0.0, 0.2, size=(frames, self.layout.num_joints, 3))
        track = BodyTrack(np.arange(frames, dtype=np.int32), pose)
        return RawClip(frames, {} if name in self.empty else {"1": track})

    def digest(self) -> str:
        return hashlib.sha256(f"{self.size} {self.version}".encode()).hexdigest()

    @property
    def names(self) -> list[str]:
        """The names of the recordings, in order."""
        return [f"clip{row:03d}" for row in range(self.size)]

    def reads(self) -> list[str]:
        """The names that were read so far, by whichever process."""
        log = self.path / "reads.txt"
        return log.read_text().split() if log.exists() else []


if __name__ == "__main__":
    # Ingest slowly, so that somebody can kill it: FOLDER STORE SIZE.
    from skelab.data import ingest

    vars(ingest)["CLIPS_PER_SHARD"] = 4
    folder, store, size = sys.argv[1:]
    ingest.ingest(
        ListedSource(Path(folder), int(size), delay=0.05),
        Path(store),
        workers=1,
        anatomy_check=False,
    )
