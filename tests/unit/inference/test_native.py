"""The engine ``native`` against the networks in float64, and when it is taken."""

import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from export_kit import family_checkpoint
from jaxtyping import Float32
from module_kit import SMALL
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

OPTIONS = {
    "ctrgcn": {"width": 20},
    "msg3d": {"width": 12},
    "stgcn": {"width": 10},
    "stgcn_official": {"width": 5},
    "stgcnpp": {"width": 20},
}
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
    model = trained(
        create_model(family, num_classes=7, layout="ntu25", max_bodies=bodies, **options)
    )

    check_equal(model, some_clips(3, frames, 25, bodies))


@pytest.mark.parametrize("family", foldable_families())
def test_networks_of_the_published_width_are_exact_too(family: str) -> None:
    model = trained(create_model(family, num_classes=60, layout="utd20", max_bodies=1))

    check_equal(model, some_clips(2, 20, 20, 1))


def test_a_network_whose_input_is_as_wide_as_its_blocks_is_exact() -> None:
    model = create_model(
        "ctrgcn", num_classes=3, layout="coco17", in_channels=4, max_bodies=1, width=4
    )
    clips = np.random.default_rng(0).standard_normal((2, 4, 9, 17, 1)).astype(np.float32)

    check_equal(trained(model), clips)


@pytest.mark.parametrize(
    ("family", "options"),
    [
        ("stgcn", {"near_sighted_partition": True, "width": 8, "temporal_dropout": 0.5}),
        ("stgcn_official", {"width": 16, "dropout": 0.5}),
        ("stgcnpp", {"width": 7}),
    ],
)
@pytest.mark.parametrize(("layout", "channels", "frames"), [("coco17", 2, 31), ("utd20", 3, 9)])
def test_ten_blocks_are_exact_with_other_options_layouts_and_channels(
    family: str, options: dict[str, Any], layout: str, channels: int, frames: int
) -> None:
    model = create_model(
        family, num_classes=4, layout=layout, in_channels=channels, max_bodies=2, **options
    )
    assert isinstance(model, SkeletonModel)
    joints = model.input_norm.clip_shape[1]
    clips = np.random.default_rng(1).standard_normal((5, channels, frames, joints, 2))
    clips[1:3, ..., 1] = 0

    check_equal(trained(model), clips.astype(np.float32))


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
    family_checkpoint(tmp_path / "net.safetensors", "shiftgcn")

    with pytest.raises(
        NetworkError,
        match=r"net.safetensors: engine native: it computes ctrgcn, msg3d, .*found shiftgcn; use",
    ):
        open_network(tmp_path / "net.safetensors", engine="native")
    assert open_network(tmp_path / "net.safetensors", engine=FASTEST).engine == "torch"


@pytest.mark.parametrize("family", ["ctrgcn", "msg3d", "stgcn", "stgcn_official"])
def test_causal_networks_are_left_to_torch(family: str, tmp_path: Path) -> None:
    file = tmp_path / "net.safetensors"
    family_checkpoint(file, family, options={**SMALL[family], "causal": True, "horizon": 6})

    assert open_network(file, engine=FASTEST).engine == "torch"
    with pytest.raises(NetworkError, match="engine native: it computes networks of whole clips"):
        open_network(file, engine="native")


def test_weights_that_are_not_finite_are_left_to_torch(tmp_path: Path) -> None:
    file = tmp_path / "net.safetensors"
    checkpoint = family_checkpoint(file, "stgcn", options={"width": 8})
    checkpoint.weights["classifier.bias"][0] = torch.inf
    checkpoint.save(file)

    assert open_network(file, engine=FASTEST).engine == "torch"
    with pytest.raises(NetworkError, match="engine native: expected finite weights, found NaN or"):
        open_network(file, engine="native")


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda clips: clips[:, :2], "expected N x"),
        (lambda clips: clips[:0], "found 0 x"),
        (lambda clips: np.where(clips > 2, np.nan, clips), "finite"),
        (lambda clips: np.where(clips > 2, np.inf, clips), "finite"),
    ],
)
def test_clips_that_do_not_fit_are_one_line(
    small: Path, spoil: Callable[[ndarray], ndarray], message: str
) -> None:
    network = open_network(small, engine="native")
    clips = np.random.default_rng(0).standard_normal(network.spec.shape(2)).astype(np.float32)

    with pytest.raises(NetworkError, match=message):
        network.logits(spoil(clips))


def test_clips_of_any_strides_and_either_width_give_the_same_logits(small: Path) -> None:
    network = open_network(small, engine="native")
    clips = np.random.default_rng(0).standard_normal(network.spec.shape(2)).astype(np.float32)

    expected = network.logits(clips)

    turned = np.ascontiguousarray(clips[:, :, ::-1])[:, :, ::-1]
    read_only = np.asfortranarray(clips)
    read_only.flags.writeable = False
    for same in (turned, read_only, clips.astype(np.float64)):
        np.testing.assert_array_equal(network.logits(same), expected)


def test_several_threads_at_once_get_their_own_logits(small: Path) -> None:
    network = open_network(small, engine="native", threads=2)
    rng = np.random.default_rng(0)
    batches = [rng.standard_normal(network.spec.shape(n)).astype(np.float32) for n in (1, 3)] * 8
    expected = [network.logits(batch) for batch in batches]

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(network.logits, batches))

    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_forked_process_computes_the_same(small: Path) -> None:
    program = f"""
import os, sys, warnings
import numpy as np
from skelab.inference import open_network
warnings.simplefilter("ignore")
network = open_network({str(small)!r}, engine="native", threads=2)
clips = np.random.default_rng(0).standard_normal(network.spec.shape(4)).astype(np.float32)
before = network.logits(clips)
child = os.fork()
if child == 0:
    os._exit(0 if np.array_equal(network.logits(clips), before) else 3)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, timeout=300)

    assert done.returncode == 0, done.stderr


@pytest.mark.skipif("avx512bf16" not in built_instruction_sets(), reason="no bf16 here")
@pytest.mark.parametrize("family", foldable_families())
def test_bf16_stays_close(family: str) -> None:
    options: dict[str, Any] = OPTIONS[family]
    model = trained(create_model(family, num_classes=7, layout="ntu25", max_bodies=2, **options))
    clips = some_clips(3, 16, 25, 2)
    with torch.inference_mode():
        expected = model(torch.from_numpy(clips)).numpy()

    kernels = get_kernels("avx512bf16")
    halved = EngineOptions(threads=1, precision="bf16")
    found = NativeForward(fold(model, kernels.lanes), kernels, halved)(clips)

    assert np.abs(found - expected).max() < 3e-2 * np.abs(expected).max()


def test_a_precision_that_the_processor_lacks_is_one_line(
    small: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SKELAB_ISA", "baseline")

    with pytest.raises(
        NetworkError, match="instruction set baseline computes in fp32, found 'bf16'"
    ):
        open_network(small, engine="native", precision="bf16")
