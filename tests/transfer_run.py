"""A tiny run from trained weights: STORE SOURCE RUN DROPOUT, and after WHAT NUMBER it is killed."""

import sys
from pathlib import Path
from typing import Any

import pytest
from tiny_run import CONFIG, Killer, enter_tiny_family, tiny_recipe

from skelab.cli.main import leave
from skelab.data.clips.store import open_store
from skelab.recipes import Recipe
from skelab.runs.train import train_recipe
from skelab.runs.transfer import open_weights


def transfer_recipe(dropout: float = 0.25, **changes: Any) -> Recipe:
    """Four epochs with a checkpoint at every step, in which the norm is frozen."""
    config = CONFIG.model_copy(update={"checkpoint_minutes": 0.0})
    return tiny_recipe(
        model={"name": "tiny", "dropout": dropout},
        training=config.model_dump(),
        transfer={"freeze": ["^norm"], "depth_decay": 0.5},
        **changes,
    )


def main(store: str, source: str, run: str, dropout: str, what: str = "", number: str = "") -> None:
    train_recipe(
        transfer_recipe(float(dropout)),
        open_store(Path(store)),
        Path(run),
        start=open_weights(Path(source)),
        watcher=Killer(what, int(number)) if what else None,
    )


if __name__ == "__main__":
    with pytest.MonkeyPatch.context() as family:
        enter_tiny_family(family)
        main(*sys.argv[1:])
    leave(0)
