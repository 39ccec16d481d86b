"""What poses of a video mean for a network that was trained on other ones."""

from pathlib import Path

from skelab.errors import ScoresError
from skelab.evaluation import Scores
from skelab.inference.network import Network
from skelab.inference.poses import (
    IMAGE_POSES,
    SYNTHETIC_POSES,
    UNKNOWN_POSES,
    VIDEO_POSES,
    kind_of_poses,
)
from skelab.pose.source import VIDEO_KIND


def warn_of_gap(network: Network) -> tuple[str, ...]:
    """What is to be said before a network judges poses of a video; a line each.

    The accuracy on videos is named where it was measured: scores of a store of videos, by these
    weights, in the folder of the run.
    """
    poses = kind_of_poses(network.spec)
    said = [f"{network.path}: trained on poses {_worded(poses)}"]
    if poses != VIDEO_POSES:
        said[0] += (
            "; those of a video are others: networks do not carry over as they are (tried: drinking"
            " was taken for a selfie, as estimated hands lie 20 cm further in front)"
        )
    measured = find_video_accuracy(network)
    said.append(measured or "its accuracy on videos was not measured here")
    return tuple(said)


def find_video_accuracy(network: Network) -> str | None:
    """The accuracy on videos that was measured with these weights; None where none was."""
    folder = network.path if network.path.is_dir() else network.path.parent
    places = [folder, folder.parent] if folder.name == "checkpoints" else [folder]
    for place in places:
        for path in sorted(place.glob("scores-*.npz")):
            scores = _load(path)
            if scores is None or scores.info.dataset != VIDEO_KIND:
                continue
            if scores.info.checkpoint == network.spec.digest:
                return (
                    f"its accuracy on videos, as measured: top-1 {scores.top(1):.1%} of"
                    f" {len(scores):,} clips ({path.name})"
                )
    return None


def _worded(poses: str) -> str:
    if poses in (SYNTHETIC_POSES, VIDEO_POSES, IMAGE_POSES):
        return f"that are {poses}"
    return "of an unknown kind" if poses == UNKNOWN_POSES else f"of {poses}"


def _load(path: Path) -> Scores | None:
    try:
        return Scores.load(path)
    except ScoresError:
        return None
