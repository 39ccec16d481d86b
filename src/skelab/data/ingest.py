"""From a source to a clip store: several workers, constant memory, resumable at any moment.

The items of a source are cut into parts of 128. Each part is one file in a folder beside the
store, written atomically by whichever worker had it; at the end the parts are joined. An ingest
that was killed finds its finished parts and goes on with the rest.

Workers are processes. Where compiled code reads and prepares a recording in one go, which holds
no lock of the interpreter, they are threads, which cost nothing to start.
"""

import json
import multiprocessing
import os
import shutil
import sys
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import (
    Executor,
    ProcessPoolExecutor,
    ThreadPoolExecutor,
    as_completed,
)
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import pyarrow as pa

from skelab._version import __version__
from skelab.data.audit.anatomy import AnatomyReport, check_source, refuse_if_scrambled
from skelab.data.clips.clip import Clip, RawClip
from skelab.data.clips.sequence import (
    SEGMENT_LEFT_OUT,
    Note,
    RawSequence,
    UntrimmedSequence,
    on_frames,
)
from skelab.data.clips.store import Excluded, StoreInfo, open_store
from skelab.data.clips.write import (
    CLIPS_PER_SHARD,
    LeaveOut,
    inspect_shard,
    join_shards,
    shard_notes,
    write_shard,
)
from skelab.data.datasets import open_source
from skelab.data.losses import MOST_LOST, refuse_losses, rejected_samples
from skelab.data.opened import holds_clips
from skelab.data.preprocessing import Pipeline, choose_pipeline, get_pipeline
from skelab.data.recordings import HeldInMemory, Source, SourceItem
from skelab.errors import DataError, NoBodyError, OutputError, SourceError, StoreError
from skelab.files.atomic import atomic_write, write_error
from skelab.files.kinds import STORE
from skelab.files.lock import hold_lock, lock_beside
from skelab.files.output import check_output
from skelab.native import can_prepare

_PLAN = "plan.json"
_TOGETHER = 16  # recordings that compiled code gets in one call

Progress = Callable[[int, int], None]
"""Called with the samples that are done, and with all samples."""


@runtime_checkable
class TextSource(Protocol):
    """A source whose recordings are ``.skeleton`` texts, which compiled code can read itself."""

    def texts(self, items: Sequence[SourceItem]) -> Sequence[str | bytes | None]:
        """Of each item the path of its file, or its content; None where neither can be had."""


@dataclass(frozen=True)
class IngestReport:
    """What an ingest did.

    Attributes:
        path: The finished store.
        info: Its description, with every sample that was left out and why.
        num_clips: Clips in the store.
        num_resumed: Samples that an earlier, interrupted ingest had already done.
        anatomy: What the joints of some samples say of the layout; None where it was not asked.
    """

    path: Path
    info: StoreInfo
    num_clips: int
    num_resumed: int
    anatomy: AnatomyReport | None = None


def ingest(
    source: Source | Path | str,
    path: Path | str,
    *,
    pipeline: str | None = None,
    ignore: Sequence[str] = (),
    workers: int | None = None,
    strict: bool = False,
    anatomy_check: bool = True,
    leave_out: LeaveOut | None = None,
    max_lost: float = MOST_LOST,
    on_progress: Progress | None = None,
    force: bool = False,
) -> IngestReport:
    """Read every sample of a source, prepare it, and write the clip store.

    A damaged sample never stops an ingest: it is left out and named, with its reason. Nor does a
    segment of a sequence that is wrong; it is left out with a note.

    Args:
        source: A file, folder or archive of recordings, or what
            :func:`skelab.open_source` found in one.
        path: The store to write, ``.arrow``.
        pipeline: Preprocessing, by name; None takes ``ctrgcn`` for poses in space and ``as-given``
            for those in an image.
        ignore: Names to leave out, say the authors' list of missing samples.
        workers: Processes, or threads where compiled code does all; None takes one per core. 1
            does everything in turn, as with a source that is held in memory whole.
        strict: Stop at the first damaged sample or wrong segment instead of leaving it out.
        anatomy_check: Look at some samples first and refuse a source whose joints are scrambled;
            an ingest that goes on where it was has done so already.
        leave_out: Says which clips to leave out of the store, now that all are read.
        max_lost: Share of the samples that may be damaged, missing or without a body; where more
            are, nothing is written.
        on_progress: Called after each part.
        force: Replace a store that is there, at the very end. An ingest that was stopped goes on
            without it.

    Raises:
        SourceError: The source has no sample, its joints are scrambled, too much of it is lost,
            or a worker died.
        DataError: ``strict``, and a sample is damaged or a segment wrong; or the pipeline does not
            fit the layout.
        OutputError: The disk is full, the folder cannot be written, there is a file that is not to
            be overwritten, or another process writes the store.
    """
    if isinstance(source, Path | str):
        source = _opened(Path(source))
    path = check_output(Path(path), STORE, inputs=[source.path], force=True)
    pipeline = choose_pipeline(pipeline, source.layout).name
    items, left_out = _choose_samples(source, set(ignore))
    info = StoreInfo(
        layout=source.layout,
        pipeline=pipeline,
        classes=source.classes,
        dataset=source.kind,
        units=source.units,
        synthetic=source.synthetic,
        source_digest=source.digest(),
        title=getattr(source, "own_title", ""),
        excluded=left_out,
        versions={"skelab": __version__, "numpy": np.__version__, "pyarrow": pa.__version__},
    )
    chunks = [items[i : i + CLIPS_PER_SHARD] for i in range(0, len(items), CLIPS_PER_SHARD)]
    with hold_lock(lock_beside(path), str(path), OutputError):
        plan = _plan(info, chunks)
        check_output(path, STORE, force=force or _goes_on(path, plan))
        folder = _open_workshop(path, plan)
        num_resumed, anatomy = _read_all(
            source,
            info,
            chunks,
            folder,
            workers=workers,
            strict=strict,
            anatomy_check=anatomy_check,
            on_progress=on_progress,
        )
        parts = _parts(folder, chunks)
        _check_losses(source, info, parts, folder, max_lost)
        finished = join_shards(path, parts, info, leave_out)
        num_clips = len(open_store(path))
        _remove(folder, parts, workers)
    return IngestReport(path, finished, num_clips, num_resumed, anatomy)


def _opened(path: Path) -> Source:
    """The recordings in a place; what is prepared already is no source."""
    if holds_clips(path):
        raise SourceError(
            f"{path}: expected recordings, found clips that are prepared already;"
            f" skelab.open_clips opens them, `skelab ingest {path} STORE` copies them to a store"
        )
    return open_source(path)


def _choose_samples(
    source: Source, ignored: Collection[str]
) -> tuple[list[SourceItem], tuple[Excluded, ...]]:
    """The samples to read, and those that are left out."""
    items = [item for item in source.items() if item.info.name not in ignored]
    left_out = [
        *rejected_samples(source),
        *(
            Excluded(item.info.name, "ignored", f"{item.info.name}: stands in the list to ignore")
            for item in source.items()
            if item.info.name in ignored
        ),
    ]
    if not items:
        first = f", the first: {left_out[0].reason}" if left_out else ""
        raise SourceError(
            f"{source.path}: no sample to ingest; {len(left_out)} were left out{first}"
        )
    return items, tuple(left_out)


def _parts(folder: Path, chunks: Sequence[Sequence[SourceItem]]) -> list[Path]:
    return [folder / f"{number:06d}.arrow" for number in range(len(chunks))]


def _read_all(
    source: Source,
    info: StoreInfo,
    chunks: Sequence[Sequence[SourceItem]],
    folder: Path,
    *,
    workers: int | None,
    strict: bool,
    anatomy_check: bool,
    on_progress: Progress | None,
) -> tuple[int, AnatomyReport | None]:
    """Make the parts that are not there yet; returns how many samples were, and what they are."""
    items = [item for chunk in chunks for item in chunk]
    parts = _parts(folder, chunks)
    waiting = [number for number, part in enumerate(parts) if not _is_finished(part, strict)]
    num_resumed = len(items) - sum(len(chunks[number]) for number in waiting)

    anatomy = None
    if anatomy_check and not num_resumed:
        anatomy = _look_first(source, items, folder)
    done = num_resumed
    work = partial(_make_part, source, info.pipeline, strict)
    jobs = [(parts[number], chunks[number]) for number in waiting]
    try:
        alone = isinstance(source, HeldInMemory)
        threads = can_prepare() and _takes_texts(source, get_pipeline(info.pipeline))
        for num_done in _carry_out(work, jobs, 1 if alone else workers, threads=threads):
            done += num_done
            if on_progress:
                on_progress(done, len(items))
    except BrokenProcessPool:
        raise SourceError(
            f"{source.path}: a worker process ended before its work was done{_of_main(source)};"
            " the same command goes on where it was, with --workers 1 (workers=1) in one process"
        ) from None
    return num_resumed, anatomy


def _check_losses(
    source: Source, info: StoreInfo, parts: Sequence[Path], folder: Path, most: float
) -> None:
    """Refuse to join parts of which too much is lost; then a mended source is read anew."""
    read = [inspect_shard(part) for part in parts]
    excluded = [*info.excluded, *(entry for _, entries in read for entry in entries)]
    try:
        refuse_losses(excluded, sum(count for count, _ in read), most, source.path)
    except SourceError:
        shutil.rmtree(folder)
        raise


def _remove(folder: Path, parts: Sequence[Path], workers: int | None) -> None:
    """Remove the parts; giving back what they take of the disk's cache is work worth sharing."""
    with ThreadPoolExecutor(workers or os.cpu_count()) as pool:
        for _ in pool.map(os.unlink, parts):
            pass
    shutil.rmtree(folder)


def _look_first(source: Source, items: Sequence[SourceItem], folder: Path) -> AnatomyReport:
    """What some samples look like; where they are scrambled, nothing is left behind."""
    try:
        return refuse_if_scrambled(check_source(source, items), source.path)
    except SourceError:
        shutil.rmtree(folder)
        raise


def _workshop(path: Path) -> Path:
    return path.with_name(path.name + ".parts")


def _goes_on(path: Path, plan: str) -> bool:
    """Whether this very ingest was begun before, and so was allowed to write the store."""
    try:
        return (_workshop(path) / _PLAN).read_bytes() == plan.encode()
    except OSError:
        return False


def _plan(info: StoreInfo, chunks: Sequence[Sequence[SourceItem]]) -> str:
    """What is to be read and how, as it stands in the folder of the parts."""
    return json.dumps(
        {
            "source": info.source_digest,
            "pipeline": info.pipeline,
            "layout": asdict(info.layout),
            "versions": dict(info.versions),
            "names": [[item.info.name for item in chunk] for chunk in chunks],
        }
    )


def _open_workshop(path: Path, plan: str) -> Path:
    """The folder of the parts; what another source or setting left there is thrown away."""
    folder = _workshop(path)
    written = folder / _PLAN
    try:
        if folder.is_dir() and not (written.is_file() and written.read_bytes() == plan.encode()):
            _check_ours(folder)
            shutil.rmtree(folder)
        if not written.exists():
            with atomic_write(written) as temporary:
                temporary.write_text(plan)
    except OSError as error:
        raise write_error(folder, error) from error
    return folder


def _check_ours(folder: Path) -> None:
    """Make sure that nothing but what an ingest left there is thrown away."""
    for entry in sorted(folder.iterdir()):
        if entry.name != _PLAN and entry.suffix not in (".arrow", ".part"):
            raise OutputError(
                f"{folder}: expected what an earlier ingest left, found {entry.name};"
                " move it away, or choose another place for the store"
            )


def _is_finished(part: Path, strict: bool) -> bool:
    """Whether a part is there and sound; a strict ingest takes none that left something out."""
    try:
        _, excluded = inspect_shard(part)
        notes = shard_notes(part) if strict else []
    except StoreError:
        return False
    damaged = any(sample.cause == "damaged" for sample in excluded)
    return not (strict and (damaged or any(note.cause == SEGMENT_LEFT_OUT for note in notes)))


def _carry_out(
    work: partial[int],
    jobs: Sequence[tuple[Path, Sequence[SourceItem]]],
    workers: int | None,
    *,
    threads: bool,
) -> Iterator[int]:
    """Do all jobs, here or by workers; yields the samples of each as it is finished.

    Args:
        work: Makes a part of its path and items; its first argument is the source.
        jobs: Path and items of each part.
        workers: How many work at once; None takes one a core.
        threads: Whether they are threads instead of processes.
    """
    workers = min(workers or os.cpu_count() or 1, len(jobs))
    if workers <= 1:
        for part, items in jobs:
            yield work(part, items)
        return
    with _pool(workers, threads=threads) as pool:
        with nullcontext() if threads or _is_of_main(work.args[0]) else _main_unnamed():
            futures = [pool.submit(work, part, items) for part, items in jobs]
        try:
            for future in as_completed(futures):
                yield future.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _pool(workers: int, *, threads: bool) -> Executor:
    if threads:
        return ThreadPoolExecutor(workers)
    context = multiprocessing.get_context("spawn")  # forking after threads have started can hang
    return ProcessPoolExecutor(workers, mp_context=context)


@contextmanager
def _main_unnamed() -> Iterator[None]:
    """Start processes that do not import the program's main module, which would run it again.

    So a script needs no ``if __name__ == "__main__":`` of its own.
    """
    main = sys.modules["__main__"]
    found = vars(main)
    hidden: dict[str, Any] = {
        name: found.pop(name) for name in ("__file__", "__spec__") if name in found
    }
    main.__spec__ = None
    try:
        yield
    finally:
        found.update(hidden)


def _is_of_main(source: Source) -> bool:
    """Whether the class of a source is written in the main module, so that workers need it."""
    return type(source).__module__ == "__main__"


def _of_main(source: Source) -> str:
    if not _is_of_main(source):
        return ""
    name = type(source).__name__
    return (
        f"; {name} is written in the script itself, whose call of ingest then has to stand below"
        ' `if __name__ == "__main__":`'
    )


def _make_part(
    source: Source, pipeline: str, strict: bool, path: Path, items: Sequence[SourceItem]
) -> int:
    """Read, prepare and write some samples; returns how many. This is what a worker does."""
    chosen = get_pipeline(pipeline)
    clips: list[Clip] = []
    excluded: list[Excluded] = []
    notes: list[Note] = []
    for item, ready in _prepared_together(source, chosen, items):
        try:
            if ready is None:
                raw = source.read(item)
                clip, noted = _labelled(raw, chosen.prepare(raw, source.layout, item.info))
            else:
                clip, noted = ready, ()
            wrong = [note.reason for note in noted if note.cause == SEGMENT_LEFT_OUT]
            if strict and wrong:
                raise DataError(wrong[0])
            clips.append(clip)
            notes += noted
        except NoBodyError as error:
            excluded.append(Excluded(item.info.name, "no body", _located(item, error)))
        except DataError as error:
            if strict:
                raise type(error)(_located(item, error)) from error
            excluded.append(Excluded(item.info.name, "damaged", _located(item, error)))
    write_shard(path, clips, source.layout, excluded, notes)
    return len(items)


def _labelled(raw: RawClip, clip: Clip) -> tuple[Clip, tuple[Note, ...]]:
    """A clip with the labels of its frames, if it has any, and what is to be said of them."""
    if not isinstance(raw, RawSequence):
        return clip, ()
    segments, labels, notes = on_frames(clip.info.name, raw, clip.frame_numbers)
    return UntrimmedSequence(clip.info, clip.joints, clip.frame_numbers, segments, labels), notes


def _prepared_together(
    source: Source, pipeline: Pipeline, items: Sequence[SourceItem]
) -> Iterator[tuple[SourceItem, Clip | None]]:
    """Each sample, and what compiled code made of it; None where it has to be read and prepared."""
    if not isinstance(source, TextSource) or pipeline.prepare_texts is None:
        yield from ((item, None) for item in items)
        return
    for start in range(0, len(items), _TOGETHER):
        some = items[start : start + _TOGETHER]
        infos = [item.info for item in some]
        clips = pipeline.prepare_texts(source.texts(some), source.layout, infos)
        yield from zip(some, clips, strict=True)


def _takes_texts(source: Source, pipeline: Pipeline) -> bool:
    """Whether compiled code can read and prepare the recordings of a source."""
    return isinstance(source, TextSource) and pipeline.prepare_texts is not None


def _located(item: SourceItem, error: DataError) -> str:
    """What went wrong, and with which sample: a pipeline does not know whose recording it has."""
    said = str(error)
    return said if item.location in said else f"{item.location}: {said}"
