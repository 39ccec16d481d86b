"""Options of the commands that open networks."""

from typing import Annotated

import typer

EngineName = Annotated[
    str | None,
    typer.Option(
        "--engine",
        help="What computes: torch, native, onnxruntime, openvino, or the fastest of them here."
        " Otherwise the fastest for predict, and what the file prefers for evaluate.",
    ),
]
Trust = Annotated[
    bool, typer.Option("--trust", help="Open a .pt2 file, which can run its maker's code.")
]
