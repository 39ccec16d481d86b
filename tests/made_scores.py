"""Scores made up for tests: random logits that lean towards the label, the same each time."""

import numpy as np
from jaxtyping import Float32
from numpy import ndarray

from skelab.evaluation import Scores, ScoresInfo


def made_info(**changes: object) -> ScoresInfo:
    """Provenance of made-up scores, with ``changes``."""
    plain = {
        "dataset": "made",
        "split": "xsub",
        "part": "validation",
        "protocol": "honest",
        "model": "ctrgcn",
        "stream": "joint",
        "checkpoint": "0123abcd",
        "synthetic": False,
    }
    return ScoresInfo(**(plain | changes))  # type: ignore[arg-type]


def made_scores(
    samples: int = 40,
    classes: int = 6,
    *,
    seed: int = 0,
    lean: float = 1.5,
    noise_seed: int | None = None,
    **changes: object,
) -> Scores:
    """Scores whose labels come from ``seed`` and whose noise comes from ``noise_seed``."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, samples)
    noise = np.random.default_rng(seed + 1 if noise_seed is None else noise_seed)
    logits = noise.normal(size=(samples, classes)) + lean * np.eye(classes)[labels]
    return Scores(
        names=tuple(f"S{number:04d}" for number in range(samples)),
        labels=labels,
        logits=logits.astype(np.float32),
        classes=tuple(f"action {number}" for number in range(classes)),
        info=made_info(**changes),
        groups={
            "subject": rng.integers(1, 5, samples),
            "camera": np.where(rng.random(samples) < 0.2, -1, rng.integers(1, 4, samples)),
        },
    )


def scores_of(logits: Float32[ndarray, "N K"], labels: list[int], **changes: object) -> Scores:
    """Scores of the very logits and labels given, without groups."""
    return Scores(
        names=tuple(f"S{number:04d}" for number in range(len(labels))),
        labels=np.array(labels, dtype=np.int64),
        logits=logits.astype(np.float32),
        classes=tuple(f"action {number}" for number in range(logits.shape[1])),
        info=made_info(**changes),
    )
