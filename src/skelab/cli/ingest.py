"""`skelab ingest`: any source becomes one clip store."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from skelab.cli.data import (
    Ignore,
    LabelsFrom,
    LayoutName,
    Names,
    NoAnatomyCheck,
    SplitName,
    open_data,
)
from skelab.cli.output import print_json, progress, result, say
from skelab.cli.paths import Force, named
from skelab.cli.videos import Mirrored, PoseModel, is_of_videos, open_videos
from skelab.errors import SourceError, SplitError

if TYPE_CHECKING:
    from skelab.data.audit.anatomy import AnatomyReport
    from skelab.data.clips.opened_clips import OpenedClips
    from skelab.data.clips.sequence import Note
    from skelab.data.clips.splits import Split
    from skelab.data.clips.store import Excluded
    from skelab.data.ingest import IngestReport
    from skelab.data.recordings import Source

SHOWN_REASONS = 5


def ingest(
    source: Annotated[
        Path, typer.Argument(help="Recordings or prepared clips; their kind is found out.")
    ],
    store: Annotated[
        Path,
        typer.Argument(help="Clip store to write, say ntu60.arrow.", parser=named, metavar="STORE"),
    ],
    pipeline: Annotated[
        str | None,
        typer.Option(help="Preprocessing: ctrgcn, msg3d, …; by default what fits the source."),
    ] = None,
    ignore: Ignore = None,
    names: Names = None,
    layout: LayoutName = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="How many read at once; one per core by default.")
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Stop at the first bad file.")] = False,
    split: SplitName = None,
    drop_leaks: Annotated[
        bool, typer.Option("--drop-leaks", help="Leave such training clips out; needs --split.")
    ] = False,
    labels_from: LabelsFrom = None,
    max_lost: Annotated[
        float,
        typer.Option(
            "--max-lost", min=0, max=1, help="Share of the samples that may be unreadable."
        ),
    ] = 0.1,
    mirrored: Mirrored = None,
    pose_model: PoseModel = "full",
    no_anatomy_check: NoAnatomyCheck = False,
    force: Force = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Read a data set, prepare every sample, and write one clip store.

    One bad file never stops an ingest: it is left out and named. A run that was stopped goes on
    where it was when the same command is given again. A store that is finished is replaced with
    --force only, and in one step at the very end.
    """
    from skelab.data.audit.leaks import leave_out_leaks
    from skelab.data.datasets import parse_split
    from skelab.data.opened import holds_clips

    chosen = parse_split(split) if split else None
    if drop_leaks and chosen is None:
        raise SplitError("--drop-leaks: expected the split that it is about, say --split ucla")
    settings: dict[str, Any] = {
        "strict": strict,
        "anatomy_check": not no_anatomy_check,
        "leave_out": leave_out_leaks(chosen) if drop_leaks and chosen else None,
        "max_lost": max_lost,
        "force": force,
    }
    if is_of_videos(source):
        settings |= {"pipeline": pipeline, "workers": workers}
        videos = open_videos(
            source, store, layout, mirrored, pose_model, strict=strict, force=force
        )
        report = _ingest_source(videos, source, store, chosen, ignore, settings)
    elif mirrored is not None:
        raise SourceError(f"{source}: expected a video for --mirrored, found another source")
    elif holds_clips(source):
        clips = open_data(source, names, ignore, layout, labels_from, anatomy_check=False)
        report = _copy(clips, store, chosen, pipeline, settings)
    elif names is not None:
        raise SourceError(
            f"{source}: expected rows without names for --names, found recordings with names"
        )
    else:
        settings |= {"pipeline": pipeline, "workers": workers}
        report = _read(source, store, chosen, ignore, layout, labels_from, settings)
    if report.num_resumed:
        say(f"{report.num_resumed:,} samples were already done by an earlier run")
    found = _look_again(report.path, chosen)
    if as_json:
        print_json(_as_json(report, found))
    else:
        _print_report(report, found, split)


def _copy(
    clips: "OpenedClips",
    store: Path,
    split: "Split | None",
    pipeline: str | None,
    settings: Mapping[str, Any],
) -> "IngestReport":
    """Copy clips that are prepared already."""
    from skelab.data.copying import copy_clips
    from skelab.data.datasets import check_split

    source, prepared = clips.path, clips.info.pipeline
    if split:
        check_split(split.name, clips.info.dataset, clips.index, source, option="--split ")
        split.rows(clips.index)  # a split that does not fit is known before anything is read
    if pipeline not in (None, prepared):
        raise SourceError(
            f"{source}: the clips are prepared already, by {prepared}: expected no other"
            f" --pipeline, found {pipeline}; the recordings can be prepared anew"
        )
    say(f"{source}: {len(clips):,} clips, prepared by {prepared}; they are copied")
    with progress("copying") as bar:
        return copy_clips(clips, store, on_progress=bar, **settings)


def _read(
    source: Path,
    store: Path,
    split: "Split | None",
    ignore: Path | None,
    layout: str | None,
    labels_from: int | None,
    settings: Mapping[str, Any],
) -> "IngestReport":
    """Read and prepare recordings."""
    from skelab.data.datasets import open_source

    opened = open_source(source, layout=layout, labels_from=labels_from)
    return _ingest_source(opened, source, store, split, ignore, settings)


def _ingest_source(
    opened: "Source",
    source: Path,
    store: Path,
    split: "Split | None",
    ignore: Path | None,
    settings: Mapping[str, Any],
) -> "IngestReport":
    """Prepare the recordings of a source."""
    from skelab.data.clips.index import ClipIndex
    from skelab.data.datasets import check_split
    from skelab.data.ingest import ingest as ingest_source
    from skelab.data.recordings.ignore_list import read_ignore_list
    from skelab.native import available

    count = len(opened.items())
    if split:
        index = ClipIndex.of(item.info for item in opened.items())
        check_split(split.name, opened.kind, index, source, option="--split ")
        split.rows(index)
    say(f"{source}: {opened.kind}, {count:,} samples, layout {opened.layout.name}")
    if opened.kind == "ntu" and not available():
        say(
            "reading with the Python parser; a C++ compiler makes it about 15 times as fast:"
            " install g++ (apt-get install g++) and then skelab again"
        )
    ignored = read_ignore_list(ignore) if ignore else ()
    with progress("reading") as bar:
        return ingest_source(opened, store, ignore=ignored, on_progress=bar, **settings)


class _Found(NamedTuple):
    """What is found out about a finished store: counts, leaks, other views, and sizes."""

    counts: str | None
    leaks: list[str]
    views: list[str]
    held: dict[str, int]


def _as_json(report: "IngestReport", found: _Found) -> dict[str, Any]:
    info, held = report.info, found.held
    notes = {"other views": found.views, "notes": [note._asdict() for note in info.notes]}
    return {
        "store": str(report.path),
        "clips": report.num_clips - held.get("sequences", 0),
        **held,
        "digest": info.digest,
        "synthetic": info.synthetic,
        "anatomy": report.anatomy.to_dict() if report.anatomy else None,
        "official counts": found.counts,
        "leaks": found.leaks,
        "excluded": [entry._asdict() for entry in info.excluded],
        **(notes if held else {}),
    }


def _print_report(report: "IngestReport", found: _Found, split: str | None) -> None:
    info, held = report.info, found.held
    if report.anatomy:
        _say_anatomy(report.anatomy)
    synthetic = "SYNTHETIC " if info.synthetic else ""
    whole = f"{report.num_clips:,} {synthetic}clips"
    if held:
        whole = f"{held['sequences']:,} {synthetic}sequences with {held['segments']:,} segments"
        if clips_beside := report.num_clips - held["sequences"]:
            whole += f" and {clips_beside:,} clips"
    result(f"{whole} in {report.path}, {len(info.excluded):,} left out")
    _list_causes(info.excluded, report.path)
    if info.notes:
        result(f"{len(info.notes):,} notes on labels")
        _list_causes(info.notes, report.path)
    if found.counts:
        result(f"counts: {found.counts}")
    if found.leaks:
        _list_some(
            f"{len(found.leaks):,} training clips of {split} equal a test clip; --drop-leaks drops"
            " them:",
            found.leaks,
        )
    if found.views:
        _list_some(
            f"{len(found.views):,} training sequences of {split} are in the test part from another"
            " camera; what follows what is known from them:",
            found.views,
        )


def _say_anatomy(anatomy: "AnatomyReport") -> None:
    say(f"anatomy: {anatomy.reason}")
    for note in anatomy.notes:
        say(f"anatomy: {note}")
    if anatomy.odd:
        shown = ", ".join(anatomy.odd[:SHOWN_REASONS])
        left = len(anatomy.odd) - SHOWN_REASONS
        say(f"anatomy: strangely long bones in {shown}{f' and {left:,} more' if left > 0 else ''}")


def _list_some(title: str, entries: Sequence[str]) -> None:
    result(title)
    for entry in entries[:SHOWN_REASONS]:
        result(f"    {entry}")


def _list_causes(entries: Sequence["Excluded | Note"], store: Path) -> None:
    """How many entries have each cause, and the first of them."""
    for cause, count in sorted(Counter(entry.cause for entry in entries).items()):
        result(f"  {cause}: {count:,}")
        reasons = [entry for entry in entries if entry.cause == cause]
        for entry in reasons[:SHOWN_REASONS]:
            result(f"    {entry.reason}")
        if count > SHOWN_REASONS:
            result(f"    … {count - SHOWN_REASONS:,} more: skelab inspect {store} --json")


def _look_again(path: Path, split: "Split | None") -> _Found:
    """What the finished store holds, and what of it is on both sides of a split."""
    from skelab.data.audit.leaks import find_leaks, find_other_views
    from skelab.data.audit.official_counts import check_counts
    from skelab.data.clips.store import open_store

    store = open_store(path)
    checked = check_counts(store.index, store.info.dataset)
    leaks = find_leaks(store.index, store.digests, split) if split else ()
    views = find_other_views(store.index, split) if split else ()
    rows = store.index.untrimmed.nonzero()[0].tolist()
    segments = sum(len(store.segments(row) or ()) for row in rows)
    return _Found(
        checked.summary if checked else None,
        [f"{one} = {two}" for one, two in leaks],
        [f"{one} = {two}" for one, two in views],
        {"sequences": len(rows), "segments": segments} if rows else {},
    )
