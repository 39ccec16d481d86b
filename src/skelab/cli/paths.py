"""Options of the commands that write files."""

from pathlib import Path
from typing import Annotated

import typer


def named(text: str | Path) -> Path:
    """A path that is not empty; typer takes an empty one for the folder that one is in."""
    if not str(text).strip():
        raise typer.BadParameter("expected a name, found an empty text")
    if "\0" in str(text):
        raise typer.BadParameter("expected a name, found a zero byte in it")
    return Path(text)


Force = Annotated[
    bool, typer.Option("--force", help="Replace a file of the same kind that is there.")
]
