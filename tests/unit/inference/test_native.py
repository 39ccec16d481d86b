"""The engine ``native`` against the networks in float64, and when it is taken."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from export_kit import family_checkpoint
from jaxtyping import Float32
from numpy import ndarray
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from skelab.errors import NetworkError
from skelab.inference import FASTEST, open_network
from skelab.inference.engines import EngineOptions
from skelab.inference.engines.native import NativeForward
from skelab.inference.folding import can_fold, fold, foldable_families
from skelab.models import SkeletonModel, create_model
from skelab.native import networks
from skelab.native.networks import (
    FEWEST_LANES_TO_GAIN,
    built_instruction_sets,
    can_compute,
    get_kernels,
)

pytestmark = pytest.mark.skipif(not can_compute(), reason="the kernels were not built")

OPTIONS = {"ctrgcn": {"width": 20}, "msg3d": {"width": 12}}
"""Widths that are no whole vectors."""


def trained(model: nn.Module) -> SkeletonModel:
    """Random weights everywhere, and statistics of batches that never were."""
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.05 * torch.randn(parameter.shape, generator=generator))
        for layer in model.modules():
            if isinstance(layer, _BatchNorm):
                layer.running_mean.normal_(0, 0.3, generator=generator)  # type: ignore[union-attr]
                layer.running_var.uniform_(0.5, 3, generator=generator)  # type: ignore[union-attr]
                layer.weight.uniform_(-0.5, 1.2, generator=generator)
    assert isinstance(model, SkeletonModel)
    return model.eval()


def some_clips(clips: int, frames: int, joints: int, bodies: int) -> Float32[ndarray, "N C T V M"]:
    """Clips of noise; some bodies are absent, and one clip is empty."""
    joints_of = np.random.default_rng(frames).standard_normal((clips, 3, frames, joints, bodies))
    joints_of[0, ..., 1:] = 0
    joints_of[-1] = 0
    return joints_of.astype(np.float32)


def check_equal(model: SkeletonModel, clips: Float32[ndarray, "N C T V M"]) -> None:
    """Logits within 1e-5 of their scale, on every instruction set."""
    with torch.inference_mode():
        expected = model.double()(torch.from_numpy(clips).double()).numpy()
    for name in built_instruction_sets():
        kernels = get_kernels(name)
        forward = NativeForward(fold(model, kernels.lanes), kernels, EngineOptions(threads=2))
        found = forward(clips)
        assert np.abs(found - expected).max() < 1e-5 * np.abs(expected).max(), name


@pytest.mark.parametrize("family", foldable_families())
@pytest.mark.parametrize(("frames", "bodies"), [(16, 2), (13, 1), (1, 3)])
def test_every_family_gives_the_logits_of_its_network(
    family: str, frames: int, bodies: int
) -> None:
    options: dict[str, Any] = OPTIONS.get(family, {})
    frames = frames if family != "shiftgcn" else 4 * -(-frames // 4)
    model = trained(
        create_model(family, num_classes=7, layout="ntu25", max_bodies=bodies, **options)
    )

    check_equal(model, some_clips(3, frames, 25, bodies))


@pytest.mark.parametrize("family", ["ctrgcn", "msg3d"])
def test_networks_of_the_published_width_are_exact_too(family: str) -> None:
    model = trained(create_model(family, num_classes=60, layout="utd20", max_bodies=1))

    check_equal(model, some_clips(2, 20, 20, 1))


def test_a_network_whose_input_is_as_wide_as_its_blocks_is_exact() -> None:
    model = create_model(
        "ctrgcn", num_classes=3, layout="coco17", in_channels=4, max_bodies=1, width=4
    )
    clips = np.random.default_rng(0).standard_normal((2, 4, 9, 17, 1)).astype(np.float32)

    check_equal(trained(model), clips)


def test_what_comes_out_for_absent_bodies_is_kept() -> None:
    kernels = get_kernels()
    model = trained(create_model("ctrgcn", num_classes=7, layout="ntu25", max_bodies=2, width=8))
    forward = NativeForward(fold(model, kernels.lanes), kernels, EngineOptions(threads=1))
    clips = some_clips(3, 8, 25, 2)

    first = forward(clips)

    np.testing.assert_array_equal(forward(clips), first)
    assert list(forward._absent) == [(8, 2)]


def test_networks_that_it_does_not_know_are_left_to_torch() -> None:
    model = trained(create_model("ctrgcn", num_classes=7, layout="ntu25", max_bodies=1, width=8))
    assert can_fold(model)

    model.classifier.bias.data[0] = torch.nan
    assert not can_fold(model)
    model.replace_head(nn.Identity())
    assert not can_fold(model)
    assert not can_fold(nn.Linear(2, 2))


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """A checkpoint of a small CTR-GCN."""
    family_checkpoint(tmp_path / "small.safetensors", "ctrgcn", options={"width": 8})
    return tmp_path / "small.safetensors"


def test_the_fastest_engine_is_native_and_the_usual_one_torch(
    small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SKELAB_ISA", raising=False)
    fast = get_kernels().lanes >= FEWEST_LANES_TO_GAIN
    network, plain = open_network(small, engine=FASTEST), open_network(small)
    clips = np.random.default_rng(0).standard_normal(network.spec.shape(2)).astype(np.float32)

    assert (network.engine, plain.engine) == ("native" if fast else "torch", "torch")
    np.testing.assert_allclose(network.logits(clips), plain.logits(clips), rtol=1e-4, atol=1e-5)


def test_without_wide_vectors_the_fastest_engine_is_torch(
    small: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SKELAB_ISA", raising=False)
    monkeypatch.setattr(networks, "_supported", lambda: {"baseline": True})

    assert open_network(small, engine=FASTEST).engine == "torch"
    assert open_network(small, engine="native").engine == "native"


def test_a_family_without_a_program_is_one_line(tmp_path: Path) -> None:
    family_checkpoint(tmp_path / "net.safetensors", "hdgcn")

    with pytest.raises(
        NetworkError, match=r"net.safetensors: engine native computes ctrgcn, msg3d"
    ):
        open_network(tmp_path / "net.safetensors", engine="native")


def test_a_precision_that_the_processor_lacks_is_one_line(
    small: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SKELAB_ISA", "baseline")

    with pytest.raises(
        NetworkError, match="instruction set baseline computes in fp32, found 'bf16'"
    ):
        open_network(small, engine="native", precision="bf16")
