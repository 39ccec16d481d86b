"""What shallow learning reaches: extremely randomised trees on resampled joints.

The bar that a network must clear before its accuracy means anything. Every clip is resampled to
a fixed number of frames and flattened; 500 trees vote. Prints top-1 per seed and over all seeds.

    python benchmarks/shallow_baseline.py STORE --split subject:1,3,5/7
"""

import argparse
import time
from pathlib import Path

import numpy as np
from numpy import ndarray
from sklearn.ensemble import ExtraTreesClassifier

from skelab.data.clips.store import ClipStore, open_store
from skelab.data.datasets import parse_split
from skelab.data.feeding.dataset import pad_clips
from skelab.data.feeding.feeder import Feeder, FeederConfig
from skelab.evaluation import wilson_interval


def features(store: ClipStore, rows: ndarray, frames: int) -> ndarray:
    """One row a clip: the joints of up to two bodies, resampled to ``frames`` frames."""
    feeder = Feeder(FeederConfig(window=frames, eval_crop=1.0), store.info.layout)
    bodies = min(int(store.bodies.max()), 2)
    items = [(int(row), store.clip(int(row))) for row in rows]
    batch = feeder.evaluation_batch(pad_clips(items, bodies))
    return batch.joints.numpy().reshape(len(rows), -1)


def main() -> None:
    """Train and test the trees, one forest a seed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("store", type=Path)
    parser.add_argument("--split", default="xsub")
    parser.add_argument("--frames", type=int, default=32)
    parser.add_argument("--trees", type=int, default=500)
    parser.add_argument("--seeds", type=int, default=5)
    options = parser.parse_args()

    store = open_store(options.store)
    train, test = parse_split(options.split).rows(store.index)
    inputs, targets = features(store, train, options.frames), store.index.labels[train]
    questions, answers = features(store, test, options.frames), store.index.labels[test]
    accuracies = []
    for seed in range(options.seeds):
        started = time.perf_counter()
        forest = ExtraTreesClassifier(options.trees, random_state=seed, n_jobs=-1)
        forest.fit(inputs, targets)
        hits = int((forest.predict(questions) == answers).sum())
        low, high = wilson_interval(hits, len(answers))
        accuracies.append(hits / len(answers))
        print(
            f"seed {seed}: top-1 {hits / len(answers):.2%}"
            f" (95 %: {low:.1%} to {high:.1%}) of {len(answers)} clips,"
            f" {time.perf_counter() - started:.1f} s"
        )
    spread = np.std(accuracies, ddof=1) if len(accuracies) > 1 else 0.0
    print(f"{len(accuracies)} seeds: top-1 {np.mean(accuracies):.2%} ± {spread:.2%} (s.d.)")


if __name__ == "__main__":
    main()
