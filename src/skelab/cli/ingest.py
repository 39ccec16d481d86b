"""`skelab ingest`: any source becomes one clip store."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from skelab.cli.data import Ignore, LayoutName, Names, SplitName, open_data
from skelab.cli.output import print_json, progress, result, say
from skelab.cli.paths import Force, named
from skelab.errors import SourceError, SplitError

if TYPE_CHECKING:
    from skelab.data.clips.sequence import Note
    from skelab.data.clips.splits import Split
    from skelab.data.clips.store import Excluded

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
    no_anatomy_check: Annotated[
        bool, typer.Option("--no-anatomy-check", help="Take joints that make no body, too.")
    ] = False,
    force: Force = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Read a data set, prepare every sample, and write one clip store.

    One bad file never stops an ingest: it is left out and named. A run that was stopped goes on
    where it was when the same command is given again. A store that is finished is replaced with
    --force only, and in one step at the very end.
    """
    from skelab.data.audit.leaks import leave_out_leaks
    from skelab.data.clips.index import ClipIndex
    from skelab.data.copying import copy_clips
    from skelab.data.datasets import check_split, open_source, parse_split
    from skelab.data.ingest import ingest as ingest_source
    from skelab.data.opened import holds_clips
    from skelab.data.recordings.ignore_list import read_ignore_list
    from skelab.native import available

    chosen = parse_split(split) if split else None
    if drop_leaks and chosen is None:
        raise SplitError("--drop-leaks: expected the split that it is about, say --split ucla")
    leave_out = leave_out_leaks(chosen) if drop_leaks and chosen else None
    if holds_clips(source):
        clips = open_data(source, names, ignore, layout)
        prepared = clips.info.pipeline
        if chosen:
            check_split(str(split), clips.info.dataset, clips.index, source, option="--split ")
            chosen.rows(clips.index)  # a split that does not fit is known before anything is read
        if pipeline not in (None, prepared):
            raise SourceError(
                f"{source}: the clips are prepared already, by {prepared}: expected no other"
                f" --pipeline, found {pipeline}; the recordings can be prepared anew"
            )
        say(f"{source}: {len(clips):,} clips, prepared by {prepared}; they are copied")
        with progress("copying") as bar:
            report = copy_clips(
                clips,
                store,
                strict=strict,
                anatomy_check=not no_anatomy_check,
                leave_out=leave_out,
                on_progress=bar,
                force=force,
            )
    else:
        if names is not None:
            raise SourceError(
                f"{source}: expected rows without names for --names, found recordings with names"
            )
        opened = open_source(source, layout=layout)
        count = len(opened.items())
        if chosen:
            index = ClipIndex.of(item.info for item in opened.items())
            check_split(str(split), opened.kind, index, source, option="--split ")
            chosen.rows(index)
        say(f"{source}: {opened.kind}, {count:,} samples, layout {opened.layout.name}")
        if opened.kind == "ntu" and not available():
            say(
                "reading with the Python parser; a C++ compiler makes it about 15 times as fast:"
                " install g++ (apt-get install g++) and then skelab again"
            )
        with progress("reading") as bar:
            report = ingest_source(
                opened,
                store,
                pipeline=pipeline,
                ignore=read_ignore_list(ignore) if ignore else (),
                workers=workers,
                strict=strict,
                anatomy_check=not no_anatomy_check,
                leave_out=leave_out,
                on_progress=bar,
                force=force,
            )
    if report.num_resumed:
        say(f"{report.num_resumed:,} samples were already done by an earlier run")
    excluded = report.info.excluded
    notes = report.info.notes
    counts, leaks, views, held = _look_again(report.path, chosen)
    if as_json:
        print_json(
            {
                "store": str(report.path),
                "clips": report.num_clips - held.get("sequences", 0),
                **held,
                "digest": report.info.digest,
                "synthetic": report.info.synthetic,
                "anatomy": report.anatomy.to_dict() if report.anatomy else None,
                "official counts": counts,
                "leaks": leaks,
                "excluded": [entry._asdict() for entry in excluded],
                **({"other views": views, "notes": [n._asdict() for n in notes]} if held else {}),
            }
        )
        return
    if report.anatomy:
        say(f"anatomy: {report.anatomy.reason}")
    synthetic = "SYNTHETIC " if report.info.synthetic else ""
    whole = f"{report.num_clips:,} {synthetic}clips"
    if held:
        whole = f"{held['sequences']:,} {synthetic}sequences with {held['segments']:,} segments"
        if clips_beside := report.num_clips - held["sequences"]:
            whole += f" and {clips_beside:,} clips"
    result(f"{whole} in {report.path}, {len(excluded):,} left out")
    _list_causes(excluded, report.path)
    if notes:
        result(f"{len(notes):,} notes on labels")
        _list_causes(notes, report.path)
    if counts:
        result(f"counts: {counts}")
    if leaks:
        result(
            f"{len(leaks):,} training clips of {split} equal a test clip; --drop-leaks drops them:"
        )
        for leak in leaks[:SHOWN_REASONS]:
            result(f"    {leak}")
    if views:
        result(
            f"{len(views):,} training sequences of {split} are in the test part from another"
            " camera; what follows what is known from them:"
        )
        for view in views[:SHOWN_REASONS]:
            result(f"    {view}")


def _list_causes(entries: Sequence["Excluded | Note"], store: Path) -> None:
    """How many entries have each cause, and the first of them."""
    for cause, count in sorted(Counter(entry.cause for entry in entries).items()):
        result(f"  {cause}: {count:,}")
        reasons = [entry for entry in entries if entry.cause == cause]
        for entry in reasons[:SHOWN_REASONS]:
            result(f"    {entry.reason}")
        if count > SHOWN_REASONS:
            result(f"    … {count - SHOWN_REASONS:,} more: skelab inspect {store} --json")


def _look_again(
    path: Path, split: "Split | None"
) -> tuple[str | None, list[str], list[str], dict[str, int]]:
    """Counts of the finished store, leaks, sequences tested from another camera, and sizes."""
    from skelab.data.audit.leaks import find_leaks, find_other_views
    from skelab.data.audit.official_counts import check_counts
    from skelab.data.clips.store import open_store

    store = open_store(path)
    checked = check_counts(store.index, store.info.dataset)
    leaks = find_leaks(store.index, store.digests, split) if split else ()
    views = find_other_views(store.index, split) if split else ()
    rows = store.index.untrimmed.nonzero()[0].tolist()
    segments = sum(len(store.segments(row) or ()) for row in rows)
    return (
        checked.summary if checked else None,
        [f"{one} = {two}" for one, two in leaks],
        [f"{one} = {two}" for one, two in views],
        {"sequences": len(rows), "segments": segments} if rows else {},
    )
