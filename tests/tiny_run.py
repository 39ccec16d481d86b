"""A network so small that a whole training run takes a fraction of a second."""

import os
import signal
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pytest
import torch
from tiny_clips import CLASSES, SBU15, tiny_store
from torch import Tensor, nn

import skelab.files.atomic
from skelab.data.clips.store import ClipStore, open_store
from skelab.data.feeding.feeder import Feeder, FeederConfig
from skelab.inference.checkpoint import InputSpec
from skelab.models import ModelCard, ModelSpec, Option, register_model, registry
from skelab.recipes import Recipe
from skelab.skeleton import Layout
from skelab.training.config import TrainingConfig
from skelab.training.job import TrainingJob
from skelab.training.loop import train
from skelab.training.records import read_history
from skelab.training.watch import Watcher

PYTHON_PATH = os.pathsep.join([str(Path(__file__).parent), str(Path(skelab.__file__).parents[1])])
"""Where a process of a test finds the helpers of the tests, and the code that is tested."""

FEEDER = FeederConfig(window=8)
CONFIG = TrainingConfig(
    epochs=4, batch_size=4, learning_rate=0.05, warmup_epochs=1, steps=(2,), seed=3
)


class TinyNetwork(nn.Module):
    """Poses averaged over time, a batch norm, dropout, and one layer; it draws and it remembers."""

    def __init__(self, features: int, num_classes: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(features)
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(features, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.classifier(self.dropout(self.norm(x.mean(dim=2).flatten(1))))
        return logits


def _build(
    *,
    num_classes: int,
    layout: Layout,
    in_channels: int,
    max_bodies: int,
    dropout: Annotated[float, Option("share dropped")] = 0.5,
) -> nn.Module:
    return TinyNetwork(in_channels * layout.num_joints * max_bodies, num_classes, dropout)


def enter_tiny_family(patch: pytest.MonkeyPatch) -> None:
    """Let ``create_model`` know the family ``tiny`` until the patch is undone."""
    patch.setattr(registry, "_FAMILIES", dict(registry._FAMILIES))
    register_model(ModelCard("tiny", "Tiny network"))(_build)


@pytest.fixture(autouse=True)
def tiny_family() -> Iterator[None]:
    """The family ``tiny`` is there in every test of the folder whose conftest takes this in."""
    with pytest.MonkeyPatch.context() as patch:
        enter_tiny_family(patch)
        yield


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> ClipStore:
    """Twenty-four clips of four subjects, for the folders whose conftest takes this in."""
    return tiny_store(tmp_path_factory.mktemp("clips") / "clips.arrow")


def tiny_recipe(**changes: Any) -> Recipe:
    """A recipe that trains the tiny network on subjects 1 to 3 and tests it on subject 4."""
    usual: dict[str, Any] = {
        "name": "tiny",
        "model": {"name": "tiny"},
        "data": {**FEEDER.model_dump(), "split": "subject:1-3/4", "validation_subjects": 1},
        "training": CONFIG.model_dump(),
    }
    return Recipe.model_validate({**usual, **changes})


def with_settings(**changes: Any) -> TrainingConfig:
    """The settings of the tiny run with some changed, checked as in a recipe."""
    usual = CONFIG.model_dump()
    if changes.get("optimizer") == "adamw":
        usual |= {"nesterov": False, "learning_rate": 0.01}
    return TrainingConfig.model_validate({**usual, **changes})


def tiny_job(store: ClipStore, run: Path, **changes: Any) -> TrainingJob:
    """A run of four epochs; subject 4 chooses the epoch."""
    subjects = store.index.subjects
    usual: dict[str, Any] = {
        "model": ModelSpec("tiny", len(CLASSES), SBU15, 3, 2, {"dropout": 0.5}),
        "inputs": InputSpec("ctrgcn", "metres", "made-up", CLASSES, FEEDER, store.info.digest),
        "source": store,
        "train_rows": np.flatnonzero(subjects != 4),
        "validation_rows": np.flatnonzero(subjects == 4),
        "feeder": Feeder(FEEDER, SBU15),
        "config": CONFIG,
        "run": run,
        "recipe": "name: tiny\n",
    }
    return TrainingJob(**{**usual, **changes})


def same_tensors(found: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> bool:
    """Whether two state dicts are equal bit for bit."""
    return set(found) == set(expected) and all(
        torch.equal(found[name], expected[name]) for name in expected
    )


def what_training_computed(run: Path) -> list[dict[str, int | float]]:
    """The records of a run without what a clock or the memory says."""
    measured = {"seconds", "data_seconds", "clips_per_second", "peak_memory_bytes"}
    return [
        {name: value for name, value in record.items() if name not in measured}
        for record in read_history(run)
    ]


class Killer(Watcher):
    """Kills this very process at the step, or in the write to disk, that it is told."""

    def __init__(self, what: str, number: int) -> None:
        self._left = {what: number}
        flush = skelab.files.atomic._flush

        def count_and_flush(path: Path) -> None:
            flush(path)
            self._count("write")

        vars(skelab.files.atomic)["_flush"] = count_and_flush

    def on_step(self, *, epoch: int, step: int, clips: int, loss: float) -> None:
        self._count("step")

    def _count(self, what: str) -> None:
        self._left[what] = self._left.get(what, 0) - 1
        if self._left[what] == 0:
            os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    # Train until killed: STORE RUN step|write NUMBER.
    store_path, run_path, what, number = sys.argv[1:]
    with pytest.MonkeyPatch.context() as family:
        enter_tiny_family(family)
        job = tiny_job(open_store(Path(store_path)), Path(run_path))
        train(job, watcher=Killer(what, int(number)))
