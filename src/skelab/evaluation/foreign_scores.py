"""Score and label pickles of other laboratories, read without running what is in them."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from jaxtyping import Float32
from numpy import ndarray

from skelab.errors import ScoresError
from skelab.evaluation.scores import Scores, ScoresInfo
from skelab.files.plain_pickle import load_plain_pickle


def read_score_pickle(path: Path) -> dict[str, Float32[ndarray, " K"]]:
    """Read the ``*_result.pkl`` that ST-GCN's descendants write: sample name to logits.

    Raises:
        ScoresError: The file is missing, damaged, would run code, or holds something else.

    Source: the ``score_dict`` of the evaluation in 2s-AGCN, MS-G3D and CTR-GCN.
    """
    content = load_plain_pickle(path, ScoresError)
    if not isinstance(content, dict) or not content:
        raise ScoresError(
            f"{path}: expected a dict of sample name to logits, found {_kind(content)}"
        )
    scores = {}
    for name, row in content.items():
        if not isinstance(row, ndarray) or row.ndim != 1 or row.dtype.kind not in "fiu":
            raise ScoresError(
                f"{path}, sample {str(name)!r}: expected a row of numbers, found {_kind(row)}"
            )
        with np.errstate(over="ignore"):  # an infinity is refused, by name, by Scores
            scores[str(name)] = row.astype(np.float32)
    widths = sorted({len(row) for row in scores.values()})
    if len(widths) > 1 or len(scores) < len(content):
        raise ScoresError(
            f"{path}: expected as many classes for every sample and every name once, found"
            f" {' or '.join(map(str, widths))} classes and {len(scores)} names in {len(content)}"
        )
    return scores


def read_label_pickle(path: Path) -> dict[str, int]:
    """Read a ``*_label.pkl``: a pair of lists, sample names and labels, to name → label.

    Raises:
        ScoresError: The file is missing, damaged, would run code, or holds something else.

    Source: the label files of ST-GCN, 2s-AGCN and MS-G3D.
    """
    content = load_plain_pickle(path, ScoresError)
    if not isinstance(content, tuple | list) or len(content) != 2:
        raise ScoresError(f"{path}: expected a pair (names, labels), found {_kind(content)}")
    names, labels = (entry.tolist() if isinstance(entry, ndarray) else entry for entry in content)
    if not isinstance(names, tuple | list) or not isinstance(labels, tuple | list):
        raise ScoresError(
            f"{path}: expected two lists, names and labels, found {_kind(names)}, {_kind(labels)}"
        )
    if len(names) != len(labels):
        raise ScoresError(f"{path}: {len(names)} names but {len(labels)} labels")
    table: dict[str, int] = {}
    for name, label in zip(names, labels, strict=True):
        if isinstance(label, bool) or not isinstance(label, int | np.integer) or label < 0:
            raise ScoresError(
                f"{path}, sample {str(name)!r}: expected a label from 0, found {label!r:.60}"
            )
        if str(name) in table:
            raise ScoresError(f"{path}: expected every sample once, found {str(name)!r} twice")
        table[str(name)] = int(label)
    return table


def scores_from_pickle(
    path: Path,
    labels: Mapping[str, int],
    *,
    info: ScoresInfo,
    classes: tuple[str, ...] | None = None,
) -> Scores:
    """Read a score pickle and join it to labels by sample name; rows come sorted by name.

    Args:
        path: File that `read_score_pickle` can read.
        labels: Label of each sample, as `read_label_pickle` gives it.
        info: What is known of the scores; the authors chose their epochs on the test part, so
            that the protocol of released files is ``"paper"``.
        classes: Names of the classes; ``"class 0"``, ``"class 1"``… if None.

    Raises:
        ScoresError: The file is bad, or its samples or classes are not those of ``labels``.
    """
    table = read_score_pickle(path)
    unlabelled, unscored = sorted(table.keys() - labels), sorted(labels.keys() - table.keys())
    if unlabelled or unscored:
        told = [
            f"{len(names):,} {what} (say {names[0]!r})"
            for names, what in ((unlabelled, "without a label"), (unscored, "without a score"))
            if names
        ]
        raise ScoresError(f"{path}: expected the samples of the labels, found {', '.join(told)}")
    names = tuple(sorted(table))
    logits = np.stack([table[name] for name in names])
    try:
        return Scores(
            names=names,
            labels=np.array([labels[name] for name in names], dtype=np.int64),
            logits=logits,
            classes=classes or tuple(f"class {number}" for number in range(logits.shape[1])),
            info=info,
        )
    except ScoresError as error:
        raise ScoresError(f"{path}: {error}") from error


def _kind(value: object) -> str:
    if isinstance(value, ndarray):
        return f"an array of {value.dtype} and shape {value.shape}"
    if isinstance(value, dict | list | tuple):
        return f"a {type(value).__name__} of {len(value)} entries"
    return f"{value!r:.60}" if isinstance(value, str | int | float) else type(value).__name__
