"""`skelab inspect`: what is this file?"""

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from skelab.cli.data import Ignore, LabelsFrom, LayoutName, Names, SplitName, open_data
from skelab.cli.output import (
    next_command,
    print_json,
    print_pairs,
    print_table,
    progress,
    result,
    say,
)
from skelab.errors import SourceError

SHOWN_ENTRIES = 12
_NEXT: Final = {
    "source": ("ingest", "", "STORE.arrow"),
    "prepared clips": ("ingest", "", "STORE.arrow"),
    "clip store": ("train", "RECIPE", "--data", ""),
    "run": ("evaluate", "", "--data", "STORE.arrow"),
    "checkpoint": ("evaluate", "", "--data", "STORE.arrow"),
    "exported network": ("predict", "", "CLIP"),
    "scores": ("ensemble", "", "MORE.npz"),
}
"""The next command for each kind of path; the path replaces the empty word."""


def inspect(
    path: Annotated[
        Path, typer.Argument(help="Source, store, run, checkpoint, exported file or scores.")
    ],
    names: Names = None,
    ignore: Ignore = None,
    layout: LayoutName = None,
    labels_from: LabelsFrom = None,
    split: SplitName = None,
    verify: Annotated[
        bool, typer.Option("--verify", help="Compare every clip of a store with its digest.")
    ] = False,
    quality: Annotated[
        bool,
        typer.Option(
            "--quality", help="Drop-outs, bone-length variation and jumps, per set and clip."
        ),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
) -> None:
    """Say what a path is and what it holds: layout, counts, frames, bodies, anatomy, digest."""
    if not path.exists():
        raise SourceError(f"{path}: there is nothing to inspect")

    from skelab.data.datasets import parse_split
    from skelab.data.recordings.ignore_list import read_ignore_list
    from skelab.runs.inspect import inspect_path

    if quality:
        _print_quality(path, names, ignore, layout, as_json)
        return
    ignored = read_ignore_list(ignore) if ignore else ()
    with progress("inspecting") as bar:
        found = inspect_path(
            path,
            names=names,
            ignore=ignored,
            layout=layout,
            labels_from=labels_from,
            split=parse_split(split) if split else None,
            verify=verify,
            on_note=say,
            on_progress=bar,
        )
    fault = found.fault and SourceError(f"{path}: {found.fault}")
    if as_json:
        verified = {"verified": True} if verify else {}
        print_json({"path": str(path), "kind": found.kind, **verified, **found.facts})
        if fault:
            raise fault
        return
    pairs = {"path": str(path), "kind": found.kind}
    if verify:
        pairs["verified"] = "every clip matches its digest"
    for name, value in found.facts.items():
        pairs[name] = _in_words(value)
        if name == "anatomy" and "odd clips" in value:
            kept = {key: entry for key, entry in value.items() if key != "odd clips"}
            pairs |= {name: _in_words(kept), "odd clips": _odd_clips(path, value["odd clips"])}
    if found.facts["synthetic"]:
        pairs["synthetic"] = "SYNTHETIC: made by a program, says nothing about people"
    else:
        pairs.pop("synthetic")
    print_pairs(pairs)
    if fault:
        raise fault
    if found.kind in _NEXT:
        result(next_command(*(word or path for word in _NEXT[found.kind])))


def _print_quality(
    path: Path, names: Path | None, ignore: Path | None, layout: str | None, as_json: bool
) -> None:
    """How well the bodies of prepared clips were tracked, and the worst of them."""
    from skelab.data.audit.quality import FIGURES, check_quality

    clips = open_data(path, names, ignore, layout)
    with progress("measuring") as bar:
        found = check_quality(clips, bar)
    if as_json:
        print_json({"path": str(path), "synthetic": clips.info.synthetic, **found.to_dict()})
        return
    label = "SYNTHETIC " if clips.info.synthetic else ""
    shown = {name: name.replace("_", " ") for name in FIGURES}
    rows = [
        (
            shown[name],
            *("\u2013" if value is None else f"{value:.2%}" for value in figures.values()),
        )
        for name, figures in found.summary().items()
    ]
    columns = ["figure", "mean", "median", "95th percentile", "highest"]
    title = f"{path}: {len(clips):,} {label}clips"
    print_table(columns, rows, title=title, right=",".join(columns[1:]))
    worst = [
        (shown[name], clip.name, f"{getattr(clip, name):.2%}")
        for name in FIGURES
        for clip in found.worst(name, 3)
    ]
    if worst:
        print_table(["figure", "worst clips", "value"], worst, right="value")


def _odd_clips(path: Path, names: Sequence[str]) -> str:
    """The clips whose bones are strangely long, and how to look at the first."""
    shown = shlex.join(["skelab", "view", str(path), "--clip", names[0]])
    return f"{_in_words(list(names))}: strangely long bones; {shown}"


def _in_words(value: Any) -> str:
    """A fact on one line; long lists are cut, since --json has them whole."""
    if isinstance(value, Mapping):
        entries = [f"{name} {entry}" for name, entry in value.items()]
    elif isinstance(value, list):
        entries = [entry["reason"] if isinstance(entry, Mapping) else str(entry) for entry in value]
    else:
        return f"{value:,}" if isinstance(value, int) else str(value)
    shown = entries[:SHOWN_ENTRIES]
    more = f", … {len(entries)} in all" if len(entries) > len(shown) else ""
    separator = "\n" if isinstance(value, list) and "reason" in str(value[:1]) else ", "
    return separator.join(shown) + more or "none"
