"""`skelab convert`: a store becomes the files of other repositories, or sequences become clips."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from skelab.cli.data import NoAnatomyCheck
from skelab.cli.output import print_json, progress, result
from skelab.cli.paths import Force, named

if TYPE_CHECKING:
    from skelab.data.convert import Conversion


def convert_command(
    store: Annotated[Path, typer.Argument(help="Clip store, or other prepared clips.")],
    out: Annotated[
        Path,
        typer.Argument(help="File to write; for msg3d, a folder.", parser=named, metavar="OUT"),
    ],
    to: Annotated[str, typer.Option("--to", help="Whose form: ctrgcn, msg3d, pyskl; or clips.")],
    split: Annotated[
        list[str] | None,
        typer.Option(help="Split, say xsub; pyskl takes several, one --split each."),
    ] = None,
    no_anatomy_check: NoAnatomyCheck = False,
    force: Force = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Write a store in the form of CTR-GCN (npz), MS-G3D (npy and pkl) or PYSKL (pkl).

    The authors' own code can be fed with it. The store must have been made by the preprocessing
    that the form stands for: ctrgcn, msg3d, and clean or ctrgcn. With --to clips a store of
    sequences becomes a store of trimmed clips, one for each segment.
    """
    from skelab.data.convert import convert as convert_clips
    from skelab.data.opened import open_clips

    clips = open_clips(store, anatomy_check=not no_anatomy_check)
    with progress("writing") as bar:
        done = convert_clips(clips, out, to=to, splits=split or (), on_progress=bar, force=force)
    if as_json:
        print_json(
            {
                "files": [str(file) for file in done.files],
                "clips": dict(done.counts),
                "left over": done.left_over,
                "synthetic": clips.info.synthetic,
            }
        )
    else:
        _print(done, split or (), synthetic=clips.info.synthetic)


def _print(done: "Conversion", splits: Sequence[str], *, synthetic: bool) -> None:
    for part, count in done.counts.items():
        result(f"{part}: {count:,} {'SYNTHETIC ' if synthetic else ''}clips")
    if done.left_over and splits:
        result(f"{done.left_over:,} clips are in no part of {', '.join(splits)}")
    elif done.left_over:
        result(f"{done.left_over:,} segments without a body were left out")
    for file in done.files:
        result(f"{file}")
