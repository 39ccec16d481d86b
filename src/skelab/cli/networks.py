"""Options of the commands that open networks."""

from typing import Annotated

import typer

EngineName = Annotated[
    str | None,
    typer.Option(
        "--engine",
        help="What computes: torch, native, onnxruntime or openvino; by default the fastest of"
        " them here that gives the same answer.",
    ),
]
Trust = Annotated[
    bool, typer.Option("--trust", help="Open a .pt2 file, which can run its maker's code.")
]
