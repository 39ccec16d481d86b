"""From raw recordings to batches: parsing, ingest, feeding and opening, beside a plain reader.

Everything is measured on synthetic recordings in the exact NTU format, made in a temporary folder.
The yardstick is ``plain_reader.py``; the ways take turns, and ratios are medians over rounds.

    python benchmarks/bench_data.py
    python benchmarks/bench_data.py --only parsing feeding --files FOLDER --json

``--only size memory`` makes a store and an ingest of the size of NTU RGB+D 60 (56,880 clips); they
need 8 GB of free disk and some minutes.
"""

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice, product
from pathlib import Path

import numpy as np
import plain_reader
from numpy import ndarray
from timing import Result, compare, in_turn, report

from skelab.data.clips.clip import Clip, SampleInfo
from skelab.data.clips.store import ClipStore, StoreInfo, open_store
from skelab.data.clips.write import write_store
from skelab.data.datasets import open_source
from skelab.data.ingest import ingest
from skelab.data.preprocessing import get_pipeline
from skelab.data.recordings.skeleton_file import read_skeleton_file
from skelab.errors import DataError
from skelab.native import available
from skelab.skeleton import get_layout
from skelab.synthetic import write_synthetic

NTU60_CLIPS = 56_880
NPZ_CLIPS = 40_091  # of the training part by subjects
NTU25 = get_layout("ntu25")
BATCH = 64
FREE_DISK = 8e9
REPEAT = 20  # times that ours is done in a round of what takes milliseconds


def recordings(folder: Path, count: int) -> list[Path]:
    """Synthetic files, without those on which the plain reader stops: it needs a long body."""
    write_synthetic(folder, clips=count, seed=0, overwrite=True)
    for path in sorted(folder.glob("*.skeleton")):
        try:
            get_pipeline("ctrgcn").prepare(read_skeleton_file(path), NTU25)
        except DataError:
            path.unlink()
    return sorted(folder.glob("*.skeleton"))


def check_equal(paths: list[Path]) -> None:
    """Make sure that both ways give the same arrays, bit for bit, before they are measured."""
    for path in paths:
        plain = plain_reader.prepare(plain_reader.read_recording(path))
        ours = get_pipeline("ctrgcn").prepare(read_skeleton_file(path), NTU25).joints
        rows = ours.swapaxes(0, 1).reshape(len(ours[0]), -1)
        if not np.array_equal(plain[:, : rows.shape[1]], rows) or plain[:, rows.shape[1] :].any():
            raise SystemExit(f"{path.name}: the plain reader gives another array")


def bench_parsing(paths: list[Path], rounds: int) -> list[Result]:
    """One file after the other, from the disk's cache to arrays."""

    def all_by(read: Callable[[Path], object]) -> None:
        for path in paths:
            read(path)

    size = sum(path.stat().st_size for path in paths) / len(paths) / 1e3
    lean = partial(plain_reader.read_recording, lean=True)
    return [
        compare(
            case,
            partial(all_by, plain),
            partial(all_by, read_skeleton_file),
            rounds=rounds,
            divide_by=len(paths),
            scale=1e3,
            unit="ms",
            target=target,
            repeat=REPEAT,
        )
        for case, plain, target in (
            (f"read one file of {size:.0f} KB", plain_reader.read_recording, "≥ 40"),
            ("the same, the plain reader without records", lean, ""),
        )
    ]


def bench_ingest(folder: Path, scratch: Path, rounds: int, clips: int) -> list[Result]:
    """A folder of raw files to a finished store, against one padded npz."""
    linked = link_copies(folder, scratch / "linked", clips)

    def ours(source: Path, workers: int) -> None:
        ingest(open_source(source), scratch / "ours.arrow", workers=workers)

    single = compare(
        f"raw folder → finished store, per file ({clips:,} files, one process)",
        partial(plain_reader.read_folder, linked, scratch / "plain.npz"),
        partial(ours, linked, 1),
        rounds=rounds,
        divide_by=clips,
        scale=1e3,
        unit="ms",
        target="≥ 25",
    )
    shutil.rmtree(linked)
    more = link_copies(folder, linked, 4 * clips)  # starting processes takes its time, too
    times = in_turn({str(workers): partial(ours, more, workers) for workers in (1, 2)}, rounds)
    rates = {n: 4 * clips / float(np.median([time.wall for time in times[n]])) for n in times}
    ratios = [one.wall / two.wall for one, two in zip(times["1"], times["2"], strict=True)]
    scaling = Result(
        f"{4 * clips:,} files, `--workers 1` (as plain) and `--workers 2` (as ours)",
        "files/s",
        plain=rates["1"],
        ours=rates["2"],
        ratio=float(np.median(ratios)),
        spread=(min(ratios), max(ratios)),
        target=f"{os.cpu_count()} cores",
    )
    return [single, scaling]


def ntu_infos() -> Iterator[SampleInfo]:
    """Names as in NTU RGB+D, as many as anybody wants."""
    setups, cameras, subjects = range(1, 18), range(1, 4), range(1, 41)
    for s, c, p, r, a in product(setups, cameras, subjects, (1, 2), range(1, 61)):
        yield SampleInfo(f"S{s:03d}C{c:03d}P{p:03d}R{r:03d}A{a:03d}", a - 1, p, c, s, r)


def link_copies(folder: Path, out: Path, count: int) -> Path:
    """So many names for the same few files."""
    out.mkdir()
    files = sorted(folder.glob("*.skeleton"))
    for number, info in enumerate(islice(ntu_infos(), count)):
        os.link(files[number % len(files)], out / f"{info.name}.skeleton")
    return out


def random_clips(count: int) -> Iterator[Clip]:
    """Clips of random numbers: as long, and as often in pairs, as those of NTU RGB+D 60."""
    rng = np.random.default_rng(0)
    pool = rng.normal(size=400_000).astype(np.float32)
    for info in islice(ntu_infos(), count):
        bodies, frames = 1 + (info.label or 0) // 49, int(rng.integers(32, 140))
        start = int(rng.integers(0, 300_000))
        joints = pool[start : start + bodies * frames * 75].reshape(bodies, frames, 25, 3)
        yield Clip(info, joints, np.arange(frames, dtype=np.int32))


def make_store(path: Path, count: int) -> Path:
    """A store of random clips."""
    classes = tuple(f"A{number:03d}" for number in range(1, 61))
    write_store(path, random_clips(count), StoreInfo(NTU25, "ctrgcn", classes, "ntu"))
    return path


def padded_rows(store: ClipStore, rows: ndarray) -> ndarray:
    """Clips as the plain feeder takes them: zeros up to 300 frames and two bodies."""
    padded = np.zeros((len(rows), 300, 2, 75), dtype=np.float32)
    for place, row in zip(padded, rows, strict=True):
        joints = store.clip(int(row)).joints
        place[: joints.shape[1], : len(joints)] = joints.swapaxes(0, 1).reshape(
            joints.shape[1], len(joints), 75
        )
    return padded.reshape(len(rows), 300, 150)


def bench_feeding(path: Path, rounds: int) -> list[Result]:
    """Training batches of 64: crop, resize, random rotation; one thread."""
    import torch  # not above: the workers of an ingest import this file and need no torch
    from plain_feeder import feed

    from skelab.data.feeding.dataset import ClipDataset, pad_clips
    from skelab.data.feeding.feeder import Feeder, FeederConfig

    torch.set_num_threads(1)
    store = open_store(path)
    rows = np.random.default_rng(0).permutation(len(store))[: 10 * BATCH]
    padded = padded_rows(store, rows)
    generator = torch.Generator().manual_seed(0)
    dataset = ClipDataset(store, rows)
    feeder = Feeder(FeederConfig(), NTU25)
    batches = [range(start, start + BATCH) for start in range(0, len(rows), BATCH)]
    read = [[dataset[i] for i in batch] for batch in batches]

    def plain() -> None:
        for batch in batches:
            torch.stack([feed(padded[i], generator) for i in batch])

    def from_store() -> None:
        for batch in batches:
            clips = pad_clips(dataset.__getitems__(batch), 2)  # as PyTorch's loader asks for it
            feeder.training_batch(clips, seed=0, epoch=0)

    def from_clips() -> None:
        for items in read:
            feeder.training_batch(pad_clips(items, 2), seed=0, epoch=0)

    return [
        compare(
            case,
            plain,
            way,
            rounds=rounds,
            divide_by=len(rows),
            scale=1e6,
            unit="µs",
            target="≥ 15",
            repeat=REPEAT,
        )
        for case, way in (
            ("a training clip, from the store to the batch", from_store),
            ("the same, the clip at hand as it is for the plain feeder", from_clips),
        )
    ]


_OPEN = """
import sys, time
from pathlib import Path
from skelab.data.foreign import open_npz
from skelab.data.clips.store import open_store
path = Path(sys.argv[1])
open_clips = open_npz if path.suffix == ".npz" else open_store
def resident():
    return int(Path("/proc/self/status").read_text().split("VmRSS:")[1].split()[0]) / 1024
before = resident()
times = []
for _ in range(7):
    started = time.perf_counter()
    store = open_clips(path)
    times.append(time.perf_counter() - started)
    if len(times) == 1:
        after = resident()
store.clip(len(store) - 1).joints.sum()
print(len(store), times[0] * 1e3, sorted(times)[3] * 1e3, before, after)
"""


def bench_size(scratch: Path) -> list[Result]:
    """Opening a store and a stored npz of the size of NTU RGB+D 60, each in its own process."""
    store = make_store(scratch / "ntu60-sized.arrow", NTU60_CLIPS)
    found = opening(store, "a store")
    store.unlink()
    npz = make_npz(scratch / "ntu60-sized.npz")
    found += opening(npz, "an npz")
    npz.unlink()
    return found


def make_npz(path: Path) -> Path:
    """The training part of NTU60_CS.npz by its size: one clip, again and again, uncompressed."""
    clip = np.zeros((300, 150), dtype=np.float32)
    clip[:100, :75] = np.random.default_rng(0).normal(size=(100, 75))
    labels = np.eye(60)[np.arange(NPZ_CLIPS) % 60]
    np.savez(path, x_train=np.broadcast_to(clip, (NPZ_CLIPS, *clip.shape)), y_train=labels)
    return path


def opening(path: Path, what: str) -> list[Result]:
    """How long it takes to open a file, and how much memory."""
    answer = subprocess.run(
        [sys.executable, "-c", _OPEN, str(path)], capture_output=True, text=True, check=True
    )
    clips, first, median, before, after = (float(value) for value in answer.stdout.split())
    size = path.stat().st_size / 1e9
    return [
        Result(f"open {what} of {clips:,.0f} clips, {size:.2f} GB: first time", "ms", first),
        Result("the same, median of seven", "ms", median, target="< 50 ms"),
        Result("memory of the process after opening", "MB", after, target="< 150 MB"),
        Result("of it before opening: Python and libraries", "MB", before),
    ]


def bench_memory(folder: Path, scratch: Path) -> list[Result]:
    """An ingest of 56,880 files by two workers: its memory, and going on after a kill."""
    linked = link_copies(folder, scratch / "ntu60-linked", NTU60_CLIPS)
    store = scratch / "ntu60.arrow"
    command = [str(Path(sys.executable).with_name("skelab")), "ingest", str(linked), str(store)]
    command += ["--workers", "2", "--json"]
    started = time.perf_counter()
    killed = watch(command, kill_after_parts=150, parts=Path(f"{store}.parts"))
    half = time.perf_counter() - started
    ended = watch(command)
    spent = time.perf_counter() - started - half
    clips = len(open_store(store))
    shutil.rmtree(linked)
    return [
        Result(
            f"ingest {clips:,} files: peak of all processes together",
            "MB",
            max(killed, ended),
            target="< 600 MB",
        ),
        Result("time until it was killed (SIGKILL), 150 of 445 parts done", "s", half),
        Result("time of the same command again, from there to the finished store", "s", spent),
    ]


def watch(command: list[str], *, kill_after_parts: int = 0, parts: Path | None = None) -> float:
    """Run a command; the most memory that it and its children had at one time, shared once, MB."""
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True
    )
    peak = 0.0
    while process.poll() is None:
        peak = max(peak, family_memory(process.pid))
        if parts and len(list(parts.glob("*.arrow"))) >= kill_after_parts:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            return peak
        time.sleep(0.1)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)}: exit {process.returncode}")
    return peak


def family_memory(leader: int) -> float:
    """Proportional memory of all processes of a session, MB; pages that they share count once."""
    total = 0
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            if os.getsid(int(entry.name)) == leader:
                total += int((entry / "smaps_rollup").read_text().split("Pss:")[1].split()[0])
        except (OSError, IndexError):
            continue  # it has ended meanwhile
    return total / 1024


def main() -> None:
    """Measure what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    sections = ("parsing", "ingest", "feeding", "size", "memory")
    parser.add_argument("--only", nargs="+", choices=sections, default=sections)
    parser.add_argument("--clips", type=int, default=240, help="synthetic recordings")
    parser.add_argument("--many", type=int, default=4_800, help="files of an ingest")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--files", type=Path, help="parse the recordings of this folder instead")
    parser.add_argument("--json", action="store_true", help="one line of JSON a table")
    options = parser.parse_args()
    if not available():
        print("the compiled reader was not built: these are times of the Python one")
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        if {"size", "memory"} & set(options.only) and shutil.disk_usage(name).free < FREE_DISK:
            raise SystemExit(f"{name}: less than 8 GB are free; leave out size and memory")
        folder = scratch / "recordings"
        paths = recordings(folder, options.clips)
        check_equal(paths)
        if options.files:
            paths = sorted(options.files.glob("*.skeleton"))
        tables: dict[str, Callable[[], list[Result]]] = {
            "parsing": lambda: bench_parsing(paths[:40], options.rounds),
            "ingest": lambda: bench_ingest(folder, scratch, min(options.rounds, 3), options.many),
            "feeding": lambda: bench_feeding(
                make_store(scratch / "feed.arrow", 2_000), options.rounds
            ),
            "size": lambda: bench_size(scratch),
            "memory": lambda: bench_memory(folder, scratch),
        }
        for section in options.only:
            report(section.capitalize(), tables[section](), as_json=options.json)


if __name__ == "__main__":
    main()
