"""A graph is compared with its network on many shapes; what differs or never changes is refused."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from export_kit import some_clips
from jaxtyping import Float32
from numpy import ndarray

from skelab.errors import ExportError
from skelab.export import TOLERANCE, check_export, check_quantised
from skelab.inference import NetworkSpec, read_checkpoint


@pytest.fixture(scope="module")
def spec(checkpoint: Path) -> NetworkSpec:
    """Of the tiny network, for clips of any length."""
    return replace(NetworkSpec.of_checkpoint(read_checkpoint(checkpoint)), target="onnx")


def network(joints: Float32[ndarray, "N C T V M"]) -> Float32[ndarray, "N K"]:
    """Logits in which every body counts."""
    flat = joints.mean(axis=2).reshape(len(joints), -1)
    weights = np.random.default_rng(5).normal(size=(flat.shape[1], 4)).astype(np.float32)
    logits: Float32[ndarray, "N K"] = flat @ weights
    return logits


def test_a_graph_is_compared_on_several_shapes_with_and_without_a_second_body(
    spec: NetworkSpec,
) -> None:
    seen: list[Float32[ndarray, "N C T V M"]] = []

    def listening(joints: Float32[ndarray, "N C T V M"]) -> Float32[ndarray, "N K"]:
        seen.append(joints)
        return network(joints)

    report = check_export(network, listening, spec)

    assert report.num_inputs == len(seen) == 13
    assert report.shapes == ((1, 8), (2, 8), (5, 8), (2, 8 // 2 * 2), (1, 11)) or report.shapes == (
        (1, 8),
        (2, 8),
        (5, 8),
        (1, 11),
    )
    has_second = [joints[..., 1].any(axis=(1, 2, 3)) for joints in seen]
    assert any(second.all() for second in has_second)
    assert any(not second.any() for second in has_second)
    assert any(second.any() and not second.all() for second in has_second)
    assert report.deviation == 0.0
    assert report.agreement == 1.0


def test_a_length_that_the_network_takes_in_steps_is_kept_to(spec: NetworkSpec) -> None:
    frames: set[int] = set()

    def listening(joints: Float32[ndarray, "N C T V M"]) -> Float32[ndarray, "N K"]:
        frames.add(joints.shape[2])
        return network(joints)

    check_export(network, listening, replace(spec, frames_multiple_of=4))

    assert frames == {8, 12}


def test_a_length_beyond_the_limits_of_the_network_is_not_shown(spec: NetworkSpec) -> None:
    frames: set[int] = set()

    def listening(joints: Float32[ndarray, "N C T V M"]) -> Float32[ndarray, "N K"]:
        frames.add(joints.shape[2])
        return network(joints)

    check_export(network, listening, replace(spec, max_frames=spec.window + 1))

    assert max(frames) == spec.window + 1


@pytest.mark.parametrize("share", [2 * TOLERANCE, float("nan")])
def test_logits_that_deviate_are_refused(share: float, spec: NetworkSpec) -> None:
    def deviating(joints: Float32[ndarray, "N C T V M"]) -> Float32[ndarray, "N K"]:
        logits = network(joints)
        logits[0, 0] += share * np.abs(logits).max()
        return logits

    with pytest.raises(ExportError, match=r"expected (logits within 0.0001|finite logits)"):
        check_export(network, deviating, spec)


def test_a_graph_that_overlooks_the_second_body_is_refused(spec: NetworkSpec) -> None:
    def one_body(joints: Float32[ndarray, "N C T V M"]) -> Float32[ndarray, "N K"]:
        alone = joints.copy()
        alone[..., 1] = 0.0
        return network(alone)

    with pytest.raises(ExportError, match=r"tiny as onnx: expected logits within 0.0001"):
        check_export(network, one_body, spec)


def test_a_graph_that_gives_each_clip_the_same_is_refused_even_if_the_network_does_too(
    spec: NetworkSpec,
) -> None:
    def constant(joints: Float32[ndarray, "N C T V M"]) -> Float32[ndarray, "N K"]:
        return np.tile(np.arange(4, dtype=np.float32), (len(joints), 1))

    with pytest.raises(ExportError, match="tiny as onnx: the graph is constant"):
        check_export(constant, constant, spec)


def test_a_graph_that_fails_on_a_batch_is_refused_with_its_shape(spec: NetworkSpec) -> None:
    def only_pairs(joints: Float32[ndarray, "N C T V M"]) -> Float32[ndarray, "N K"]:
        if len(joints) != 2:
            raise RuntimeError("expected two clips")
        return network(joints)

    with pytest.raises(ExportError, match="fails on an input of 1 x 3 x 8 x 15 x 2: expected two"):
        check_export(network, only_pairs, spec)


def test_int8_is_measured_by_the_classes_of_the_calibration_clips(spec: NetworkSpec) -> None:
    batches = [some_clips((6, 3, 8, 15, 2), seed) for seed in (1, 2)]

    def rounded(joints: Float32[ndarray, "N C T V M"]) -> Float32[ndarray, "N K"]:
        logits: Float32[ndarray, "N K"] = np.round(network(joints), 2)
        return logits

    report = check_quantised(network, rounded, spec, batches)

    assert report.agreement > 0.9
    assert 0 < report.deviation < 0.1
    assert {shape[0] for shape in report.shapes} >= {1, 2, 5}


def test_int8_that_changes_the_classes_is_refused(spec: NetworkSpec) -> None:
    def turned(joints: Float32[ndarray, "N C T V M"]) -> Float32[ndarray, "N K"]:
        return -network(joints)

    with pytest.raises(ExportError, match="int8: expected at least 90% of the calibration clips"):
        check_quantised(network, turned, spec, [some_clips((6, 3, 8, 15, 2))])
