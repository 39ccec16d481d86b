"""Options of commands that read clips, and opening them."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from skelab.cli.output import say

if TYPE_CHECKING:
    from skelab.data.clips.opened_clips import OpenedClips

Names = Annotated[
    Path | None,
    typer.Option(
        "--names",
        help="For an npz, whose rows have no names: a list of all samples, or the .skeleton files.",
    ),
]
Ignore = Annotated[
    Path | None,
    typer.Option("--ignore", help="List of samples to leave out; the authors' file as it is."),
]
LayoutName = Annotated[
    str | None,
    typer.Option("--layout", help="Layout by name (skelab layouts), where the usual is not meant."),
]
SplitName = Annotated[
    str | None,
    typer.Option("--split", help="Report training clips that equal a test clip of this split."),
]
LabelsFrom = Annotated[
    int | None,
    typer.Option(
        "--labels-from",
        min=0,
        max=9,
        help="Number of the first class, for arrays whose labels are counted from 1.",
    ),
]


def check_data(path: Path | None) -> None:
    """Refuse clips that are not there, before anything heavy is imported."""
    if path is not None and not path.exists():
        from skelab.data.opened import open_clips

        open_clips(path)  # its error names the command that creates the file


NoAnatomyCheck = Annotated[
    bool, typer.Option("--no-anatomy-check", help="Accept joints that do not form bodies.")
]


def open_data(
    path: Path,
    names: Path | None,
    ignore: Path | None,
    layout: str | None,
    labels_from: int | None = None,
    *,
    anatomy_check: bool = True,
) -> "OpenedClips":
    """Open prepared clips by the options of a command; remarks go to stderr."""
    from skelab.data.opened import open_clips
    from skelab.data.recordings.ignore_list import read_ignore_list

    ignored = read_ignore_list(ignore) if ignore else ()
    return open_clips(
        path,
        names=names,
        ignore=ignored,
        layout=layout,
        labels_from=labels_from,
        anatomy_check=anatomy_check,
        on_note=say,
    )
