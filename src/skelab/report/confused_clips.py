"""The misclassified clips behind the confusion matrix, and some of them to view."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from skelab.evaluation.metrics import confusion_matrix, softmax
from skelab.evaluation.scores import Scores
from skelab.viewer import Scene, player_data

MOST_CLIPS: Final = 20
"""Number of clips that a page embeds; 10 to 20 kB each."""

MOST_NAMES: Final = 8
"""Number of clips listed per pair of classes."""

Pair = tuple[int, int]
"""True and predicted class."""


def names_by_pair(scores: Scores) -> Mapping[Pair, tuple[str, ...]]:
    """The misclassified clips by pair of true and predicted class.

    Pairs with most errors come first, and of a pair the most confident errors.
    """
    shares = softmax(scores.logits)
    predicted = scores.predictions
    confusion = confusion_matrix(scores.labels, predicted, scores.num_classes)
    surest = np.argsort(-shares[np.arange(len(predicted)), predicted], kind="stable")
    found: dict[Pair, list[str]] = {}
    for row in surest[scores.labels[surest] != predicted[surest]].tolist():
        pair = int(scores.labels[row]), int(predicted[row])
        found.setdefault(pair, []).append(scores.names[row])
    worst = sorted(found, key=lambda pair: (-int(confusion[pair]), pair))
    return {pair: tuple(found[pair]) for pair in worst}


def clips_to_show(scores: Scores, *, most: int = MOST_CLIPS) -> tuple[str, ...]:
    """Names of the clips to embed: one of each pair, worst pair first, then further ones.

    Args:
        scores: Scores of the part that a report is about.
        most: How many clips.
    """
    pairs = names_by_pair(scores)
    rounds = [
        [names[place] for names in pairs.values() if place < len(names)]
        for place in range(MOST_NAMES)
    ]
    return tuple(name for names in rounds for name in names)[:most]


def confused_data(
    scores: Scores, scenes: Mapping[str, Scene], command: str
) -> dict[str, Any] | None:
    """The data of the page's clip viewer; None without misclassified clips.

    Args:
        scores: The scores.
        scenes: Clips that the page holds, by name.
        command: Command that shows other clips, without the clip's name.
    """
    pairs = names_by_pair(scores)
    if not pairs or not scenes:
        return None
    held = set(scenes)
    return {
        "classes": list(scores.classes),
        "command": command,
        "pairs": {
            f"{truth}-{prediction}": {
                "count": len(names),
                "names": _held_first(names, held),
            }
            for (truth, prediction), names in pairs.items()
        },
        "clips": {name: player_data(scene) for name, scene in scenes.items()},
    }


def _held_first(names: Sequence[str], held: set[str]) -> list[str]:
    return sorted(names, key=lambda name: name not in held)[:MOST_NAMES]
