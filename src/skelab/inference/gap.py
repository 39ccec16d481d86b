"""What kind of poses a network was trained on, and what that means for poses of a video."""

from pathlib import Path
from typing import Final

from skelab.data.datasets import find_datasets
from skelab.errors import ScoresError
from skelab.evaluation import Scores
from skelab.inference.network import Network
from skelab.inference.spec import NetworkSpec
from skelab.pose.source import VIDEO_KIND
from skelab.skeleton import get_layout

SYNTHETIC_POSES: Final = "SYNTHETIC, made by a program"
VIDEO_POSES: Final = "estimated in videos"
UNKNOWN_POSES: Final = "unknown"

_IN_SPACE: Final = ("x", "y", "z")


def kind_of_poses(spec: NetworkSpec) -> str:
    """What recorded the poses that a network was trained on, as far as its file tells.

    ``SYNTHETIC, made by a program``; ``estimated in videos``; the sensor of the data set, say
    ``Kinect v2``; or ``unknown``.
    """
    inputs = spec.inputs
    if inputs.synthetic:
        return SYNTHETIC_POSES
    if inputs.dataset == VIDEO_KIND:
        return VIDEO_POSES
    if spec.layout.axes != _IN_SPACE:
        return "estimated in images"
    for card in find_datasets(inputs.dataset):
        return get_layout(card.layout).title.partition(":")[0]
    return UNKNOWN_POSES


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
    if poses in (SYNTHETIC_POSES, VIDEO_POSES, "estimated in images"):
        return f"that are {poses}"
    return "of an unknown kind" if poses == UNKNOWN_POSES else f"of {poses}"


def _load(path: Path) -> Scores | None:
    try:
        return Scores.load(path)
    except ScoresError:
        return None
