"""`skelab inspect`: what is this file?"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from skelab.cli.data import Ignore, LayoutName, Names, SplitName
from skelab.cli.output import print_json, print_pairs, progress, say
from skelab.errors import SourceError

SHOWN_ENTRIES = 12


def inspect(
    path: Annotated[
        Path, typer.Argument(help="Source, store, run, checkpoint, exported file or scores.")
    ],
    names: Names = None,
    ignore: Ignore = None,
    layout: LayoutName = None,
    split: SplitName = None,
    verify: Annotated[
        bool, typer.Option("--verify", help="Compare every clip of a store with its digest.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
) -> None:
    """Say what a path is and what it holds: layout, counts, frames, bodies, anatomy, digest."""
    if not path.exists():
        raise SourceError(f"{path}: there is nothing to inspect")

    from skelab.data.datasets import parse_split
    from skelab.data.recordings.ignore_list import read_ignore_list
    from skelab.runs.inspect import inspect_path

    ignored = read_ignore_list(ignore) if ignore else ()
    with progress("inspecting") as bar:
        found = inspect_path(
            path,
            names=names,
            ignore=ignored,
            layout=layout,
            split=parse_split(split) if split else None,
            verify=verify,
            on_note=say,
            on_progress=bar,
        )
    if as_json:
        verified = {"verified": True} if verify else {}
        print_json({"path": str(path), "kind": found.kind, **verified, **found.facts})
        return
    pairs = {"path": str(path), "kind": found.kind}
    if verify:
        pairs["verified"] = "every clip matches its digest"
    pairs |= {name: _in_words(value) for name, value in found.facts.items()}
    if found.facts["synthetic"]:
        pairs["synthetic"] = "SYNTHETIC: made by a program, says nothing about people"
    else:
        pairs.pop("synthetic")
    print_pairs(pairs)


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
