"""What the tests of studies share: plans, and run folders as the lab leaves them."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from made_scores import made_scores

from skelab.evaluation import Scores
from skelab.files.strict_yaml import dump_yaml
from skelab.recipes import load_recipe
from skelab.studies.grid import StudyRun
from skelab.studies.study import Study, open_study

SMALL = (
    *("model.width=8", "data.window=8", "data.validation_subjects=2", "training.epochs=2"),
    *("training.batch_size=8", "training.warmup_epochs=0"),
)
"""A network of few channels that trains in seconds, as settings of a plan."""


def write_plan(path: Path, **changes: Any) -> Path:
    """A plan of two streams of one recipe, with ``changes``."""
    plan = {
        "name": "streams",
        "data": {"made": "clips.arrow"},
        "recipes": ["ctrgcn"],
        "streams": ["joint", "bone"],
        "settings": {"small": list(SMALL)},
        **changes,
    }
    content = {key: value for key, value in plan.items() if value is not None}
    path.write_text(dump_yaml(content), encoding="utf-8")
    return path


def made_study(folder: Path, **changes: Any) -> Study:
    """A study in a folder of its own, of which nothing has been done."""
    return open_study(write_plan(folder / "plan.yaml", **changes), folder / "out")


def finish_run(study: Study, run: StudyRun, *, noise: int, first: int = 0, **info: Any) -> Scores:
    """Leave a run as `skelab train` and `skelab evaluate` leave it; its scores lean on ``noise``.

    Args:
        study: The study.
        run: One of its runs.
        noise: Seed of what the scores get wrong.
        first: Number of its first sample, so that folds have samples of their own.
        **info: Provenance of the scores.
    """
    folder = study.folder.run(run.name)
    (folder / "checkpoints").mkdir(parents=True)
    (folder / "checkpoints" / "best.safetensors").write_bytes(b"")
    recipe = load_recipe(run.recipe, run.overrides)
    (folder / "recipe.yaml").write_text(recipe.to_yaml(), encoding="utf-8")
    data = {"dataset": "made", "synthetic": True, "digest": "made"}
    (folder / "environment.json").write_text(json.dumps({"data": data}))
    epochs = range(recipe.training.epochs)
    record = {"train_loss": 1.0, "seconds": 30.0, "peak_memory_bytes": 2**20}
    lines = [json.dumps({"epoch": epoch, **record}) + "\n" for epoch in epochs]
    (folder / "metrics.jsonl").write_text("".join(lines))
    for part in study.parts:
        known = {"stream": run.stream, "split": run.split, "synthetic": True, **info}
        scores = made_scores(60, seed=first, noise_seed=noise, part=part, **known)
        names = tuple(f"S{first + number:04d}" for number in range(60))
        scores = replace(scores, names=names)
        scores.save(folder / f"scores-{part}.npz")
    return scores
