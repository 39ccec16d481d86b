"""`skelab features`: videos, pictures or vectors become a side-car store."""

from pathlib import Path
from typing import Annotated

import typer

from skelab.cli.output import print_json, progress, result, say
from skelab.cli.paths import Force, named

_SHOWN = 5


def features(
    source: Annotated[
        Path, typer.Argument(help="Video, folder of videos or of picture folders, or vectors.")
    ],
    out: Annotated[
        Path,
        typer.Argument(
            help="Side-car store to write, say rgb.arrow.", parser=named, metavar="STORE"
        ),
    ],
    encoder: Annotated[
        str,
        typer.Option("--encoder", help="hog, efficientnet-lite0, or file:NAME for your vectors."),
    ],
    every: Annotated[int, typer.Option("--every", help="Take every n-th frame.")] = 5,
    version: Annotated[
        str, typer.Option("--encoder-version", help="Version of what made your vectors.")
    ] = "1",
    seconds: Annotated[
        float, typer.Option("--seconds", min=1, help="Time that decoding one video may take.")
    ] = 600.0,
    force: Force = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Describe the pictures, or other sensors, of clips; the store is keyed by their names.

    Given again after a stop, it goes on where it was. Sources that cannot be read are left out and
    named.
    """
    from skelab.fusion import extract_features

    with progress("describing") as bar:
        made = extract_features(
            source,
            out,
            encoder=encoder,
            every=every,
            version=version,
            seconds=seconds,
            force=force,
            on_progress=bar,
        )
    skipped = made.info.skipped
    if as_json:
        print_json(
            {
                "store": str(out),
                "side_cars": made.made,
                "resumed": made.resumed,
                "encoder": made.info.encoder,
                "version": made.info.version,
                "size": made.info.size,
                "skipped": dict(skipped),
                "digest": made.info.digest,
            }
        )
        return
    for name, reason in skipped[:_SHOWN]:
        say(f"left out {name}: {reason}")
    if len(skipped) > _SHOWN:
        say(f"left out {len(skipped) - _SHOWN} more; --json names them all")
    result(f"{made.made:,} side-cars, {made.info.title}, in {out}")
