"""`skelab ingest`: any source becomes one clip store."""

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from skelab.cli.data import Ignore, LayoutName, Names, SplitName, open_data
from skelab.cli.output import print_json, progress, result, say
from skelab.cli.paths import Force, named
from skelab.errors import SourceError, SplitError

if TYPE_CHECKING:
    from skelab.data.clips.splits import Split

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
    from skelab.data.clips.splits import parse_split
    from skelab.data.copying import copy_clips
    from skelab.data.ingest import ingest as ingest_source
    from skelab.data.opened import holds_clips
    from skelab.data.recordings import open_source
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
            chosen.rows(ClipIndex.of(item.info for item in opened.items()))
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
    counts, leaks = _look_again(report.path, chosen)
    if as_json:
        print_json(
            {
                "store": str(report.path),
                "clips": report.num_clips,
                "digest": report.info.digest,
                "synthetic": report.info.synthetic,
                "anatomy": report.anatomy.to_dict() if report.anatomy else None,
                "official counts": counts,
                "leaks": leaks,
                "excluded": [entry._asdict() for entry in excluded],
            }
        )
        return
    if report.anatomy:
        say(f"anatomy: {report.anatomy.reason}")
    synthetic = "SYNTHETIC " if report.info.synthetic else ""
    result(f"{report.num_clips:,} {synthetic}clips in {report.path}, {len(excluded):,} left out")
    for cause, count in sorted(Counter(entry.cause for entry in excluded).items()):
        result(f"  {cause}: {count:,}")
        reasons = [entry for entry in excluded if entry.cause == cause]
        for entry in reasons[:SHOWN_REASONS]:
            result(f"    {entry.reason}")
        if count > SHOWN_REASONS:
            result(f"    … {count - SHOWN_REASONS:,} more: skelab inspect {report.path} --json")
    if counts:
        result(f"counts: {counts}")
    if leaks:
        result(
            f"{len(leaks):,} training clips of {split} equal a test clip; --drop-leaks drops them:"
        )
        for leak in leaks[:SHOWN_REASONS]:
            result(f"    {leak}")


def _look_again(path: Path, split: "Split | None") -> tuple[str | None, list[str]]:
    """What the finished store says of its counts, and the clips on both sides of a split."""
    from skelab.data.audit.leaks import find_leaks
    from skelab.data.audit.official_counts import check_counts
    from skelab.data.clips.store import open_store

    store = open_store(path)
    checked = check_counts(store.index, store.info.dataset)
    found = find_leaks(store.index, store.digests, split) if split else ()
    return checked.summary if checked else None, [f"{one} = {two}" for one, two in found]
