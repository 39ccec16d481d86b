"""Evidence that was planted is found by both methods; where the truth is known, they give it."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from planted_evidence import ARM, RAISED, arm_clip, share_of_arm, train_arm_network
from tiny_clips import SBU15, tiny_clip
from viewer_kit import NTU25

from skelab.data.feeding.feeder import FeederConfig
from skelab.errors import DataError, NetworkError
from skelab.export import ExportReport
from skelab.inference import (
    Checkpoint,
    InputSpec,
    NetworkFile,
    NetworkSpec,
    Reasons,
    explain,
    open_network,
    read_checkpoint,
)
from skelab.inference.checkpoint import build_model
from skelab.models import ModelSpec
from skelab.skeleton import spatial_partition


@pytest.fixture(scope="module")
def arm_network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small CTR-GCN that knows whether somebody raises the right arm."""
    return train_arm_network(tmp_path_factory.mktemp("arm") / "arm.safetensors")


@pytest.fixture(scope="module")
def reasons(arm_network: Path) -> Sequence[Reasons]:
    """Why it takes three new clips for an arm that is raised."""
    return [explain(arm_network, arm_clip(seed, raised=True)) for seed in (101, 103, 105)]


def tiny_network(**feeder: Any) -> NetworkFile:
    """A linear network of two classes: what it says of a joint is known exactly."""
    torch.manual_seed(3)
    config = FeederConfig(**{"window": 8, "eval_crop": 1.0, **feeder})
    spec = ModelSpec("tiny", 2, SBU15, 3, 2, {"dropout": 0.0})
    inputs = InputSpec("as-given", "metres", "made-up", ("sit", "wave"), config)
    weights = build_model(spec).state_dict()
    checkpoint = Checkpoint(spec, inputs, "name: tiny\n", weights, 1, "honest")
    return NetworkFile(Path("tiny"), NetworkSpec.of_checkpoint(checkpoint), checkpoint)


def test_an_action_that_differs_in_one_arm_lights_up_that_arm(reasons: Sequence[Reasons]) -> None:
    gradient = np.mean([each.gradient.sum(axis=1) for each in reasons], axis=0)
    occlusion = np.mean([each.occlusion for each in reasons], axis=0)

    assert {each.target for each in reasons} == {"arm raised"}
    assert gradient.argmax() in ARM
    assert occlusion.argmax() in ARM
    assert share_of_arm(gradient) > 0.5  # five joints of 25
    assert share_of_arm(occlusion) > 0.5


def test_the_moments_in_which_the_arm_is_up_speak_for_it(reasons: Sequence[Reasons]) -> None:
    frames = np.mean([each.gradient.sum(axis=(0, 2)) for each in reasons], axis=0)

    inside = float(frames[slice(*RAISED)].sum())

    assert inside > 0
    assert inside > 2 * abs(float(frames.sum()) - inside)


def test_the_two_methods_agree_where_there_is_evidence(reasons: Sequence[Reasons]) -> None:
    agreement = np.mean([each.agreement[0] for each in reasons])

    assert agreement > 0.3


def test_what_speaks_for_a_class_speaks_against_the_other(arm_network: Path) -> None:
    clip = arm_clip(101, raised=True)

    raised = explain(arm_network, clip, target="arm raised")
    down = explain(arm_network, clip, target="arm down")

    np.testing.assert_allclose(raised.gradient, -down.gradient, atol=1e-4)
    np.testing.assert_allclose(raised.occlusion, -down.occlusion, atol=1e-4)


def test_every_layer_of_ctrgcn_shows_its_topology_for_the_clip(reasons: Sequence[Reasons]) -> None:
    layers = reasons[0].layers

    assert [each.layer for each in layers] == [f"backbone.{k}" for k in range(10)]
    assert all(each.weights.shape == (25, 25) for each in layers)
    assert all((each.weights >= 0).all() for each in layers)


def test_a_layer_that_learned_nothing_shows_the_topology_that_it_began_with(
    arm_network: Path,
) -> None:
    trained = read_checkpoint(arm_network)
    untrained = replace(trained, weights=build_model(trained.model).state_dict())
    network = NetworkFile(Path("arm"), NetworkSpec.of_checkpoint(untrained), untrained)

    layers = explain(network, arm_clip(101, raised=True)).layers

    expected = np.abs(spatial_partition(NTU25)).mean(axis=0)
    for layer in layers:
        np.testing.assert_allclose(layer.weights, expected, atol=1e-6)


def test_bodies_that_the_network_does_not_take_have_no_say(arm_network: Path) -> None:
    clip = arm_clip(101, raised=True, bodies=2)

    found = explain(arm_network, clip)

    assert found.gradient.shape == (2, clip.num_frames, 25)
    assert found.gradient[0].any()
    assert not found.gradient[1].any()
    assert not found.occlusion[1].any()


@pytest.mark.parametrize("bodies", [1, 2])
def test_both_methods_are_exact_for_a_linear_network(bodies: int) -> None:
    network = tiny_network()
    clip = tiny_clip(bodies - 1)
    clip = replace(clip, joints=clip.joints[:, :5], frame_numbers=clip.frame_numbers[:5])

    found = explain(network, clip, target="wave")

    logits = open_network(network, engine="torch").predict([clip])[0]
    odds = {name: np.log(share) for name, share in logits.top}
    assert clip.num_bodies == bodies
    assert found.agreement == pytest.approx((1.0, 1.0))
    zero = explain(network, replace(clip, joints=clip.joints * 1e-6), target="wave").prediction
    bias = {name: np.log(share) for name, share in zero.top}
    expected = (odds["wave"] - odds["sit"]) - (bias["wave"] - bias["sit"])
    assert found.occlusion.sum() == pytest.approx(expected, abs=1e-3)


def test_values_stand_on_the_frames_that_the_window_shows() -> None:
    network = tiny_network(window=4, fill="zeros")
    clip = tiny_clip(1)

    found = explain(network, clip)

    assert found.gradient[:, :4].any(axis=(0, 2)).all()
    assert not found.gradient[:, 4:].any()
    assert not found.spans[4:].any()


def test_frames_outside_of_the_crop_have_no_say() -> None:
    clip = tiny_clip(3)
    frames = clip.num_frames

    found = explain(tiny_network(window=4, eval_crop=0.5), clip)

    shown = np.asarray(found.gradient.any(axis=(0, 2)))
    assert not shown[0]
    assert not shown[-1]
    assert 0 < shown.sum() <= frames // 2 + 1


def test_streams_of_bones_and_motion_say_what_a_joint_stands_for() -> None:
    notes = {
        stream: explain(tiny_network(stream=stream), tiny_clip(1)).note
        for stream in ("joint", "bone", "joint-motion")
    }

    assert notes["joint"] == ""
    assert notes["bone"] == "Each joint stands for the bone that ends in it."
    assert notes["joint-motion"] == "Each joint stands for its motion to the next frame."


def test_a_class_that_the_network_does_not_know_is_refused() -> None:
    with pytest.raises(DataError, match=r"unknown class 'jump'.* Known: sit, wave"):
        explain(tiny_network(), tiny_clip(1), target="jump")


def test_an_exported_network_has_no_gradients(exports: dict[str, ExportReport]) -> None:
    with pytest.raises(NetworkError, match=r"reasons need gradients, which exported files do not"):
        explain(exports["onnx"].path, tiny_clip(1))
