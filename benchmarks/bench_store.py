"""The cost of the checksums of a store: in ingest, in opening, and in the first reading of clips.

    python benchmarks/bench_store.py FOLDER [CLIPS]

Ingests synthetic recordings and counts the time in functions that compute digests. Writes a store
of clips as long as NTU RGB+D's (80 frames, one or two bodies of 25 joints), opens it, and reads all
of it in batches of 64, twice: the first time every clip is compared with its digest. Processor
times; the minimum of five rounds.
"""

import hashlib
import sys
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from unittest.mock import patch

import numpy as np

from skelab.data.clips import ragged, store_format, write
from skelab.data.clips import store as stores
from skelab.data.clips.clip import Clip, SampleInfo
from skelab.data.clips.store import StoreInfo, open_store
from skelab.data.clips.write import write_store
from skelab.data.datasets import open_source
from skelab.data.ingest import ingest
from skelab.skeleton import get_layout
from skelab.synthetic import write_synthetic

FRAMES, BATCH, ROUNDS, RECORDINGS = 80, 64, 5, 200
DIGESTS = ("stored_digest", "store_digest", "description_digest", "digest_frames")
NTU = get_layout("ntu25")


def clips(count: int) -> Iterator[Clip]:
    """Noise in the shape of clips."""
    rng = np.random.default_rng(0)
    numbers = np.arange(FRAMES, dtype=np.int32)
    for row in range(count):
        joints = rng.normal(size=(1 + row % 2, FRAMES, 25, 3)).astype(np.float32)
        yield Clip(SampleInfo(f"clip{row:06d}", row % 60, row % 40 + 1), joints, numbers)


def least(work: Callable[[], object]) -> float:
    """Processor seconds of the fastest of some rounds."""
    times = []
    for _ in range(ROUNDS):
        since = time.process_time()
        work()
        times.append(time.process_time() - since)
    return min(times)


def spent_on_digests(work: Callable[[], object]) -> tuple[float, float]:
    """Processor seconds of some work, and those within functions that compute digests."""
    spent = 0.0

    def timed(compute: Callable[..., object]) -> Callable[..., object]:
        def run(*arguments: object) -> object:
            nonlocal spent
            since = time.process_time()
            try:
                return compute(*arguments)
            finally:
                spent += time.process_time() - since

        return run

    with ExitStack() as patches:
        for module in (store_format, write, stores, ragged):
            for name in DIGESTS:
                if hasattr(module, name):
                    compute = getattr(module, name)
                    patches.enter_context(patch.object(module, name, timed(compute)))
        since = time.process_time()
        work()
        total = time.process_time() - since
    return total, spent


def measure_ingest(folder: Path) -> None:
    """Print the share of digests in ``ingest`` of synthetic recordings, with one worker."""
    write_synthetic(folder / "skeletons", clips=RECORDINGS, overwrite=True)
    source = open_source(folder / "skeletons")
    out = folder / "ingested.arrow"
    rounds = [
        spent_on_digests(lambda: ingest(source, out, workers=1, force=True)) for _ in range(ROUNDS)
    ]
    total, digests = min(rounds)
    print(
        f"ingest of {RECORDINGS} recordings: {total:.2f} s, of which digests {1e3 * digests:.1f} ms"
        f" ({digests / total:.2%})"
    )


def main(folder: Path, count: int) -> None:
    """Measure, and print a line each."""
    measure_ingest(folder)
    path = folder / "bench.arrow"
    info = StoreInfo(NTU, "ctrgcn", tuple(map(str, range(60))), "made-up", synthetic=True)
    since = time.process_time()
    write_store(path, clips(count), info)
    print(
        f"writing {count:,} clips, {path.stat().st_size / 1e6:.0f} MB: "
        f"{time.process_time() - since:.2f} s with the noise"
    )
    rounds = [spent_on_digests(lambda: open_store(path)) for _ in range(4 * ROUNDS)]
    opening, digests = min(rounds)
    print(f"opening: {1e3 * opening:.2f} ms, of which digests {1e3 * digests:.2f} ms")

    def read(store: object) -> None:
        for start in range(0, count, BATCH):
            store.pack(range(start, min(start + BATCH, count)), 2)  # type: ignore[attr-defined]

    store = open_store(path)
    first = least(lambda: read(open_store(path)))
    read(store)
    later = least(lambda: read(store))
    megabytes = path.stat().st_size / 1e6
    print(f"reading all for the first time: {first:.3f} s, {megabytes / first:,.0f} MB/s")
    print(f"reading all again: {later:.3f} s, {megabytes / later:,.0f} MB/s")
    data = path.read_bytes()
    for name, work in (
        ("blake2b, 16 bytes", lambda: hashlib.blake2b(data, digest_size=16).digest()),
        ("crc32", lambda: zlib.crc32(data)),
        ("adler32", lambda: zlib.adler32(data)),
        ("sha256", lambda: hashlib.sha256(data).digest()),
    ):
        print(f"{name}: {megabytes / least(work):,.0f} MB/s")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 3000)
