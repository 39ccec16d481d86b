"""Options of the commands that open networks."""

from typing import Annotated

import typer

EngineName = Annotated[
    str | None,
    typer.Option(
        "--engine",
        help="What computes: torch, onnxruntime or openvino; what the file prefers by default.",
    ),
]
Trust = Annotated[
    bool, typer.Option("--trust", help="Open a .pt2 file, which can run its maker's code.")
]
