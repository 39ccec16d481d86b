"""Causal networks: what a stream gives frame by frame is what the clip so far gives."""

from typing import Any

import pytest
import torch
from module_kit import SMALL, STICK, randomised
from torch import Tensor

from skelab.errors import ModelError
from skelab.models import check_traits, create_model, get_card
from skelab.models.base import SkeletonModel
from skelab.models.causal import ModelStream
from skelab.nn import Block

FAMILIES = ["stgcn", "stgcn_official", "ctrgcn", "msg3d"]
FRAMES = 27


def network(name: str, **options: Any) -> SkeletonModel:
    torch.manual_seed(0)
    model = create_model(name, num_classes=5, layout=STICK, **SMALL.get(name, {}), **options)
    assert isinstance(model, SkeletonModel)
    return model


def clips() -> Tensor:
    """Two clips: a gap and no second body; a second body that comes late and leaves."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(2, 3, FRAMES, STICK.num_joints, 2, dtype=torch.float64, generator=generator)
    x[0, :, 5:9] = 0
    x[0, ..., 1] = 0
    x[1, :, :11, :, 1] = 0
    x[1, :, 20:, :, 1] = 0
    return x


@pytest.mark.parametrize("horizon", [10, 64])
@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize(
    ("dtype", "limit"), [(torch.float64, 1e-10), (torch.float32, 1e-5)], ids=["float64", "float32"]
)
def test_a_stream_gives_for_every_prefix_what_the_clip_gives(
    name: str, horizon: int, dtype: torch.dtype, limit: float
) -> None:
    model = randomised(network(name, causal=True, horizon=horizon)).to(dtype)
    x = clips().to(dtype)
    stream = ModelStream(model)

    with torch.no_grad():
        expected = torch.stack([model(x[:, :, : t + 1]) for t in range(FRAMES)], dim=1)
        per_frame = model.forward_frames(x)
    found = torch.stack([stream.step(x[:, :, t]) for t in range(FRAMES)], dim=1)

    scale = expected.abs().max()
    assert (found - expected).abs().max() / scale <= limit
    assert (per_frame - expected).abs().max() / scale <= limit
    assert (expected[:, 1:] - expected[:, :-1]).abs().max() / scale > 1e-3  # it does change


@pytest.mark.parametrize("name", FAMILIES)
def test_the_traits_of_a_causal_network_are_true(name: str) -> None:
    model = network(name, causal=True)

    assert model.traits.causal
    assert not get_card(name).traits.causal
    assert check_traits(model) == ()


@pytest.mark.parametrize("name", FAMILIES)
def test_a_causal_network_has_the_weights_of_the_plain_one(name: str) -> None:
    plain, causal = network(name), network(name, causal=True)

    causal.load_state_dict(plain.state_dict())

    assert list(causal.state_dict()) == list(plain.state_dict())
    for key, tensor in network(name, causal=True).state_dict().items():
        assert torch.equal(tensor, plain.state_dict()[key])  # drawn alike


@pytest.mark.parametrize("name", FAMILIES)
def test_memory_does_not_grow_with_the_stream_and_is_forgotten(name: str) -> None:
    stream = ModelStream(network(name, causal=True, horizon=8))
    x = clips().float()
    first = [stream.step(x[:, :, t]) for t in range(9)]
    size = stream.num_bytes

    for t in range(9, FRAMES):
        stream.step(x[:, :, t])
    grown = stream.num_bytes
    stream.restart()
    again = [stream.step(x[:, :, t]) for t in range(9)]

    assert grown == size
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))


def test_training_recomputed_gives_the_same_gradients() -> None:
    x = clips().float()
    gradients = []
    for recomputes in (False, True):
        model = network("ctrgcn", causal=True).train()
        for block in model.backbone.children():
            assert isinstance(block, Block)
            block.recomputes = recomputes
        model(x).square().sum().backward()
        gradients.append([p.grad for p in model.parameters()])

    for plain, recomputed in zip(*gradients, strict=True):
        torch.testing.assert_close(plain, recomputed)


def test_a_network_that_looks_ahead_does_not_stream() -> None:
    model = network("stgcnpp")

    with pytest.raises(ModelError, match=r"stgcnpp: expected a causal network.*model.causal=true"):
        ModelStream(model)
    with pytest.raises(ModelError, match="expected a causal network, found one that looks ahead"):
        model.forward_frames(clips().float())


def test_a_frame_of_another_layout_is_refused_and_the_stream_goes_on() -> None:
    stream = ModelStream(network("stgcn", causal=True))
    x = clips().float()
    first = stream.step(x[:, :, 0])

    with pytest.raises(ModelError, match="model input: expected N x 3 x T"):
        stream.step(torch.zeros(2, 3, STICK.num_joints + 1, 2))

    fresh = ModelStream(network("stgcn", causal=True))
    assert torch.equal(fresh.step(x[:, :, 0]), first)
    assert torch.equal(fresh.step(x[:, :, 1]), stream.step(x[:, :, 1]))


@pytest.mark.parametrize("name", FAMILIES)
def test_a_horizon_below_one_frame_is_refused(name: str) -> None:
    with pytest.raises(ModelError, match="horizon: expected a number of frames from 1, found 0"):
        network(name, causal=True, horizon=0)
