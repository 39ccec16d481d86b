"""Do weights from another data set help where clips are few? UTD-MHAD to NW-UCLA, with and without.

A small CTR-GCN learns the actions of UTD-MHAD's odd subjects (27 classes, layout utd20). A
network of the same kind then learns those of NW-UCLA (10 classes, layout kinect20) from a share of
the clips of its first view, and is tested on the second: once from drawn weights, once from those
of UTD-MHAD. Both see the same clips, as often, in the same order. A share is drawn class by class;
the clips of a smaller share are among those of a larger one. With few clips there are more epochs,
so that every network takes some hundred steps; trained weights begin with half the learning rate.
Nothing is chosen on the test clips: the last epoch counts.

Prints a table in Markdown as it goes, and keeps every result in OUT/results.json: what is done is
not done again. The whole takes about half an hour on two cores; --quick trains its smallest cells.

    python benchmarks/bench_transfer.py DATA --out runs/transfer

DATA holds the folders ``utd-mhad`` and ``nw-ucla`` of recordings.
"""

import argparse
import json
import math
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int64
from numpy import ndarray

from skelab.data.clips.store import ClipStore, open_store
from skelab.data.datasets import open_source
from skelab.data.ingest import ingest
from skelab.evaluation import Scores
from skelab.files.atomic import atomic_write
from skelab.inference.network import open_network
from skelab.recipes import Recipe, load_recipe
from skelab.runs.parts import choose_parts
from skelab.runs.plan import plan_training
from skelab.runs.seeds import mean_over_seeds
from skelab.runs.transfer import open_weights, with_source
from skelab.training.job import TrainingJob
from skelab.training.loop import train
from skelab.training.run_checkpoints import holds_run
from skelab.training.transfer import SourceWeights

SHARES = (0.05, 0.2, 1.0)
ARMS = ("drawn", "UTD-MHAD")
SEEDS = (1, 2, 3)
SMALL = ("model.width=16", "data.window=32", "data.workers=0", "training.drop_last=false")
EPOCHS, STEPS = 20, 300  # whichever is more
PRE_TRAINING = ("training.epochs=30", "data.split=subject:1,3,5/7")
FINE_TUNING = ("training.learning_rate=0.05", "training.warmup_epochs=2")
QUICK_STEPS = 40


def recordings(data: Path, name: str, out: Path) -> ClipStore:
    """The clip store of a data set, made once."""
    path = out / f"{name}.arrow"
    if not path.exists():
        ingest(open_source(data / name), path)
    return open_store(path)


def subsample(
    rows: Int64[ndarray, " N"], labels: Int64[ndarray, " N"], share: float, seed: int
) -> Int64[ndarray, " K"]:
    """A share of the rows of each class, one at least, in the order that they had.

    The same seed gives the same rows; those of a smaller share are among those of a larger.
    """
    kept = []
    for label in np.unique(labels):
        own = rows[labels == label]
        order = np.random.default_rng((seed, int(label))).permutation(len(own))
        kept.append(own[order[: max(1, round(share * len(own)))]])
    return np.sort(np.concatenate(kept))


def pre_train(store: ClipStore, run: Path, epochs: Sequence[str]) -> SourceWeights:
    """A network that knows all clips of UTD-MHAD that there are, those of the odd subjects."""
    recipe = load_recipe("ctrgcn-utd", [*SMALL, *PRE_TRAINING, *epochs])
    job = plan_training(recipe, store, run)
    train_on(job, np.arange(len(store)))
    return open_weights(job.chosen)


def train_on(job: TrainingJob, rows: Int64[ndarray, " K"]) -> None:
    """Train a job on these rows, or go on with it."""
    job = replace(job, train_rows=rows)
    train(job, resume=holds_run(job))


def cell(
    store: ClipStore, run: Path, share: float, seed: int, start: SourceWeights | None, steps: int
) -> dict[str, Any]:
    """Train one network on a share of the clips; its accuracy on the other view."""
    recipe = _recipe(seed, start is not None)
    plan = plan_training(with_source(recipe, start), store, run, start=start)
    rows = subsample(plan.train_rows, store.index.labels[plan.train_rows], share, seed)
    per_epoch = math.ceil(len(rows) / recipe.training.batch_size)
    epochs = max(EPOCHS, math.ceil(steps / per_epoch)) if steps == STEPS else steps // per_epoch
    training = recipe.training.model_copy(update={"epochs": epochs})
    recipe = with_source(recipe.model_copy(update={"training": training}), start)
    began = time.perf_counter()
    job = plan_training(recipe, store, run, start=start)
    train_on(job, rows)
    test = choose_parts(recipe, store).test
    scores = open_network(job.chosen).scores(store, test, split=recipe.data.split, part="test")
    assert isinstance(scores, Scores)  # noqa: S101 - the recipe classifies
    return {
        "share": share,
        "arm": ARMS[start is not None],
        "seed": seed,
        "clips": len(rows),
        "epochs": epochs,
        "top1": scores.top(1),
        "test_clips": len(scores),
        "seconds": round(time.perf_counter() - began, 1),
    }


def _recipe(seed: int, fine_tuned: bool) -> Recipe:
    changes = [*SMALL, "data.split=camera:1/2", f"training.seed={seed}"]
    return load_recipe("ctrgcn-ucla", [*changes, *(FINE_TUNING if fine_tuned else ())])


def table(results: Sequence[Mapping[str, Any]]) -> str:
    """Mean and 95 % interval over the seeds, and of the differences of equal seeds."""
    lines = [
        f"| training clips | {ARMS[0]} weights | weights of {ARMS[1]} | difference |",
        "|---|---|---|---|",
    ]
    for share in sorted({result["share"] for result in results}):
        by_arm: dict[str, dict[int, float]] = {arm: {} for arm in ARMS}
        for result in results:
            if result["share"] == share:
                by_arm[result["arm"]][result["seed"]] = result["top1"]
        clips = {result["clips"] for result in results if result["share"] == share}
        both = sorted(by_arm[ARMS[0]].keys() & by_arm[ARMS[1]].keys())
        gains = [by_arm[ARMS[1]][seed] - by_arm[ARMS[0]][seed] for seed in both]
        columns = [_figure(list(by_arm[arm].values())) for arm in ARMS]
        sizes = " to ".join(map(str, sorted({min(clips), max(clips)})))
        cells = [f"{share:.0%} ({sizes})", *columns, _figure(gains, signed=True)]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _figure(values: Sequence[float], *, signed: bool = False) -> str:
    """Percent with its interval; a dash where nothing was measured."""
    if not values:
        return "-"
    mean = mean_over_seeds(values)
    sign = "+" if signed else ""
    figure = f"{100 * mean.mean:{sign}.1f}"
    if len(values) == 1:
        return f"{figure} (one seed)"
    return f"{figure} ({100 * mean.low:{sign}.1f} to {100 * mean.high:{sign}.1f})"


def main() -> None:
    """Train the cells that are missing, one after the other."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path, default=Path("runs/transfer"))
    parser.add_argument("--shares", type=float, nargs="+", default=SHARES)
    parser.add_argument("--seeds", type=int, nargs="+", default=SEEDS)
    parser.add_argument("--quick", action="store_true", help="the smallest share, one seed")
    options = parser.parse_args()
    shares = [min(options.shares)] if options.quick else options.shares
    seeds = options.seeds[:1] if options.quick else options.seeds
    out = options.out / "quick" if options.quick else options.out
    out.mkdir(parents=True, exist_ok=True)

    ucla = recordings(options.data, "nw-ucla", out)
    began = time.perf_counter()
    epochs = ["training.epochs=2"] if options.quick else []
    start = pre_train(recordings(options.data, "utd-mhad", out), out / "utd", epochs)
    print(f"pre-training: {time.perf_counter() - began:.0f} s", flush=True)

    kept = out / "results.json"
    results: list[dict[str, Any]] = json.loads(kept.read_text()) if kept.exists() else []
    done = {(result["share"], result["arm"], result["seed"]) for result in results}
    for seed in seeds:
        for share in shares:
            for arm, weights in zip(ARMS, (None, start), strict=True):
                if (share, arm, seed) in done:
                    continue
                run = out / f"{arm}-{share:g}-{seed}"
                steps = QUICK_STEPS if options.quick else STEPS
                results.append(cell(ucla, run, share, seed, weights, steps))
                with atomic_write(kept) as temporary:
                    temporary.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
                shutil.rmtree(run)  # the result is kept; dozens of runs would only fill the disk
                print(json.dumps(results[-1]), flush=True)
    print(f"\n{table(results)}")


if __name__ == "__main__":
    main()
