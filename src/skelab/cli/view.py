"""`skelab view`: a clip to look at."""

from pathlib import Path
from typing import Annotated

import typer

from skelab.cli.output import result
from skelab.cli.paths import Force, named

_DEFAULT = "clip.html"


def view_command(
    clip: Annotated[
        Path,
        typer.Argument(help=".skeleton or .npy file, clip store, .npz, or folder of recordings."),
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            help=f".html, .png, .gif or .mp4; {_DEFAULT} by default.",
            parser=named,
            metavar="FILE",
        ),
    ] = None,
    name: Annotated[
        str | None, typer.Option("--clip", help="Which clip, where there are several.")
    ] = None,
    network: Annotated[
        Path | None,
        typer.Option(help="Run or checkpoint: adds its prediction and the reasons.", metavar="RUN"),
    ] = None,
    target: Annotated[
        str | None,
        typer.Option("--class", help="Class to give reasons for; the likeliest by default."),
    ] = None,
    layout: Annotated[
        str | None, typer.Option(help="Joints of an array, where their number does not tell.")
    ] = None,
    pipeline: Annotated[
        str | None, typer.Option(help="Preprocessing of a recording; as in ingest by default.")
    ] = None,
    frames: Annotated[
        str | None, typer.Option(help="Only these frames, say 30:90.", metavar="FIRST:END")
    ] = None,
    fps: Annotated[float, typer.Option(help="Frames a second of the recording.")] = 30.0,
    theme: Annotated[
        str, typer.Option(help="Colours of pictures and films: light or dark.")
    ] = "light",
    height: Annotated[int, typer.Option(help="Height of pictures and films, pixels.")] = 480,
    no_raw: Annotated[
        bool, typer.Option("--no-raw", help="Leave out the recording beside the clip.")
    ] = False,
    force: Force = False,
) -> None:
    """Show a clip: a page to play and turn it, a picture, or a film.

    Recordings are shown beside what preprocessing makes of them. With --network, joints and moments
    are coloured by how far they speak for the prediction.
    """
    from skelab.files.output import check_output
    from skelab.viewer import view
    from skelab.viewer.show import check_theme, kind_of

    # The default is a page for now, and made anew every time; a name that was given is not.
    path = out or Path(_DEFAULT)
    check_theme(theme, height)
    check_output(path, kind_of(path), inputs=[clip], force=force or out is None)
    shown = view(
        clip,
        name=name,
        layout=layout,
        pipeline=pipeline,
        network=network,
        target=target,
        frames=_stretch(frames) if frames else None,
        frames_per_second=fps,
        raw=not no_raw,
    )
    shown.save(path, theme=theme, height=height)
    for line in shown.describe():
        result(line)
    result(f"view {path}")


def _stretch(text: str) -> tuple[int, int]:
    """First frame, and the one behind the last."""
    first, colon, end = text.partition(":")
    if not colon or not (first.isascii() and first.isdigit() and end.isascii() and end.isdigit()):
        raise typer.BadParameter(f"--frames: expected FIRST:END, say 30:90, found {text!r}")
    return int(first), int(end)
