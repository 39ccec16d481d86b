"""What shallow learning reaches on sequences: trees on windows of joints, one fold after another.

Next action: trees on the latest 30 frames before a cut, at each horizon, leaving one person out and
leaving one script out. Detection: trees on the latest 15 frames label each frame, leaving one
person out; thresholds with hysteresis as they are when nothing is chosen. Intervals are bootstraps
over sequences.

    python benchmarks/sequence_baselines.py STORE
"""

import argparse
from pathlib import Path

import numpy as np
from numpy import ndarray
from sklearn.ensemble import ExtraTreesClassifier

from skelab.data.clips.sequence import labels_of_segments
from skelab.data.clips.store import ClipStore, open_store
from skelab.data.clips.windows import segments_by_row, windows_before_actions
from skelab.data.datasets import parse_split
from skelab.evaluation import (
    Detection,
    Hysteresis,
    detect_online,
    evaluate_detections,
    evaluate_segmentation,
    frames_of_detections,
    next_figures,
    rank_classes,
)
from skelab.tasks import HORIZONS

OBSERVED, STEP, BACK = 30, 3, 15


def forest(trees: int, inputs: ndarray, targets: ndarray) -> ExtraTreesClassifier:
    """Trees of one seed."""
    return ExtraTreesClassifier(trees, random_state=0, n_jobs=1).fit(inputs, targets)


def shares_of(found: ExtraTreesClassifier, inputs: ndarray, classes: int) -> ndarray:
    """Probabilities of all classes, 0 for those that training lacks."""
    shares = np.zeros((len(inputs), classes))
    shares[:, found.classes_] = found.predict_proba(inputs)
    return shares


def padded(joints: ndarray, frames: int) -> ndarray:
    """The latest frames, the first of them repeated where there are too few; less the origin."""
    missing = frames - len(joints)
    return np.concatenate([joints[:1].repeat(missing, axis=0), joints]) if missing > 0 else joints


def next_action(store: ClipStore, column: str, trees: int) -> None:
    """Leave one number of a column out at a time."""
    classes = len(store.info.classes)
    for horizon in HORIZONS:
        made = windows_before_actions(store, (horizon,), observed=OBSERVED)
        clips = [padded(made.clip(row).joints[0], OBSERVED) for row in range(len(made))]
        origin = store.info.layout.origin
        inputs = np.stack([(c - c[:, origin, None])[STEP - 1 :: STEP].ravel() for c in clips])
        labels, left = made.index.labels, getattr(made.index, column)
        shares = np.zeros((len(made), classes))
        for number in np.unique(left):
            test = left == number
            shares[test] = shares_of(
                forest(trees, inputs[~test], labels[~test]), inputs[test], classes
            )
        sequences = np.array([window.row for window in made.windows])
        found = next_figures(labels, rank_classes(shares), shares, sequences)
        low, high = found.top1_interval
        print(
            f"next action, one of {column} out, {horizon:+d}: {found.count} questions, top-1"
            f" {found.top1:.1%} ({low:.0%} to {high:.0%}), top-3 {found.top3:.1%}"
        )


def next_action_of_split(store: ClipStore, split: str, trees: int) -> None:
    """The same on one split, known and unseen scripts apart."""
    classes, origin = len(store.info.classes), store.info.layout.origin
    for horizon in HORIZONS:
        made = windows_before_actions(store, (horizon,), observed=OBSERVED)
        train, test = parse_split(split).rows(made.index)
        clips = [padded(made.clip(row).joints[0], OBSERVED) for row in range(len(made))]
        inputs = np.stack([(c - c[:, origin, None])[STEP - 1 :: STEP].ravel() for c in clips])
        labels, scripts = made.index.labels, made.index.scripts
        shares = shares_of(forest(trees, inputs[train], labels[train]), inputs[test], classes)
        right = shares.argmax(axis=1) == labels[test]
        known = np.isin(scripts[test], scripts[train])
        print(
            f"next action, {split}, {horizon:+d}: top-1 {right[known].mean():.1%} on"
            f" {known.sum()} of known scripts, {right[~known].mean():.1%} on"
            f" {(~known).sum()} others"
        )


def detection(store: ClipStore, trees: int) -> None:
    """Leave one person out at a time."""
    segments = segments_by_row(store, "detection")
    background, origin = len(store.info.classes), store.info.layout.origin
    inputs, labels = {}, {}
    for row in segments:
        joints = store.clip(row).joints[0]
        joints = joints - joints[:, origin, None]
        labels[row] = labels_of_segments(segments[row], len(joints)).astype(np.int64)
        labels[row][labels[row] < 0] = background
        inputs[row] = np.stack(
            [
                padded(joints[max(0, frame - BACK + 1) : frame + 1], BACK)[::STEP].ravel()
                for frame in range(len(joints))
            ]
        )
    subjects = store.index.subjects
    found, truth, raw, total = {}, {}, 0, 0
    for number in np.unique(subjects):
        train = [row for row in segments if subjects[row] != number]
        trained = forest(
            trees,
            np.concatenate([inputs[row][::STEP] for row in train]),
            np.concatenate([labels[row][::STEP] for row in train]),
        )
        for row in segments:
            if subjects[row] == number:
                shares = shares_of(trained, inputs[row], background + 1)
                found[row] = detect_online(shares, Hysteresis(0.4, 0.3, 0.5))
                truth[row] = [Detection(each.label, each.start, each.end) for each in segments[row]]
                raw += int((shares.argmax(axis=1) == labels[row]).sum())
                total += len(shares)
    frames = [
        frames_of_detections(found[row], frames=len(labels[row]), background=background)
        for row in found
    ]
    worth = evaluate_segmentation([labels[row] for row in found], frames, background=background)
    names = {row: store.index.names[row] for row in found}
    half = evaluate_detections(
        {names[row]: truth[row] for row in found}, {names[row]: found[row] for row in found}
    )
    print(
        f"detection, one person out: frame accuracy {worth.frame_accuracy:.1%} (likeliest"
        f" {raw / total:.1%}), edit {worth.edit:.1%}, F1@50 {worth.f1[0.5]:.1%}, mAP@0.5"
        f" {half.mean_ap:.1%}, delay {half.mean_delay:+.1f} frames"
    )


def main() -> None:
    """Print the figures of the trees."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("store", type=Path)
    parser.add_argument("--trees", type=int, default=200)
    parser.add_argument("--split", help="next action on this split of people and scripts alone")
    options = parser.parse_args()
    store = open_store(options.store)
    if options.split:
        next_action_of_split(store, options.split, options.trees)
        return
    detection(store, options.trees)
    for column in ("subjects", "scripts"):
        if (getattr(store.index, column) >= 0).all():
            next_action(store, column, options.trees)


if __name__ == "__main__":
    main()
