"""What the tests of commands share: outcomes, a small synthetic set, small settings."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SMALL = [
    "--set=model.width=8",
    "--set=data.window=8",
    "--set=data.validation_subjects=2",
    "--set=training.epochs=2",
    "--set=training.batch_size=8",
    "--set=training.warmup_epochs=0",
]


@dataclass(frozen=True)
class Outcome:
    """What a command said and how it ended."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The result of ``--json``."""
        return json.loads(self.out)


@dataclass(frozen=True)
class SmallSet:
    """Synthetic files, their store, and a run trained on them."""

    skeletons: Path
    store: Path
    run: Path
