"""What poses a network knows, and what is said before it judges others."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from export_kit import family_checkpoint

from skelab.evaluation import Scores, ScoresInfo
from skelab.inference import Network, open_network
from skelab.inference.gap import find_video_accuracy, warn_of_gap
from skelab.inference.poses import kind_of_poses
from skelab.skeleton import get_layout

CLASSES = ("a", "b")


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Network:
    """A network of few channels in a folder of its own."""
    path = tmp_path_factory.mktemp("run") / "net.safetensors"
    layout = get_layout("ntu25")
    family_checkpoint(path, "stgcn", layout=layout, classes=CLASSES, options={"width": 4})
    return open_network(path)


def trained_on(network: Network, **changes: object) -> Network:
    """The same network, trained on another data set."""
    inputs = replace(network.spec.inputs, **{"synthetic": False, **changes})  # type: ignore[arg-type]
    return replace(network, spec=replace(network.spec, inputs=inputs))


def save_scores(network: Network, dataset: str, checkpoint: str) -> Path:
    """Scores of four clips, three of them right, beside the network."""
    logits = np.array([[1, 0], [1, 0], [0, 1], [1, 0]], dtype=np.float32)
    info = ScoresInfo(dataset, "given", "test", "honest", "stgcn", "joint", checkpoint)
    path = network.path.parent / "scores-test.npz"
    Scores(("1", "2", "3", "4"), np.array([0, 0, 1, 1]), logits, CLASSES, info).save(path)
    return path


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({"dataset": "ntu"}, "Kinect v2"),
        ({"dataset": "nw-ucla"}, "Kinect v1"),
        ({"dataset": "video"}, "estimated in videos"),
        ({"dataset": "custom"}, "unknown"),
        ({"synthetic": True}, "SYNTHETIC, made by a program"),
    ],
)
def test_a_network_says_what_poses_it_was_trained_on(
    network: Network, changes: dict[str, object], kind: str
) -> None:
    assert kind_of_poses(trained_on(network, **changes).spec) == kind


def test_the_gap_is_named_where_there_is_one(network: Network) -> None:
    kinect = warn_of_gap(trained_on(network, dataset="ntu"))
    video = warn_of_gap(trained_on(network, dataset="video"))

    assert "trained on poses of Kinect v2; those of a video are others" in kinect[0]
    assert video[0].endswith("trained on poses that are estimated in videos")
    assert kinect[1] == video[1] == "its accuracy on videos was not measured here"


def test_an_accuracy_that_was_measured_is_named(network: Network) -> None:
    path = save_scores(network, "video", network.spec.digest)

    found = find_video_accuracy(network)
    path.unlink()

    assert found == "its accuracy on videos, as measured: top-1 75.0% of 4 clips (scores-test.npz)"


@pytest.mark.parametrize(("dataset", "checkpoint"), [("ntu", None), ("video", "of others")])
def test_scores_of_other_clips_or_weights_do_not_count(
    network: Network, dataset: str, checkpoint: str | None
) -> None:
    path = save_scores(network, dataset, checkpoint or network.spec.digest)

    found = find_video_accuracy(network)
    path.unlink()

    assert found is None


def test_damaged_scores_do_not_count(network: Network) -> None:
    path = network.path.parent / "scores-test.npz"
    path.write_bytes(b"PK\x03\x04")

    found = find_video_accuracy(network)
    path.unlink()

    assert found is None
