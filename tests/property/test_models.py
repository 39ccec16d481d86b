"""What holds for every family, layout, number of bodies, frames and classes."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from module_kit import SMALL, STICK
from torch import nn

from skelab.models import ModelInput, SkeletonModel, create_model, get_card, list_models
from skelab.nn import EmbeddedBodyNorm
from skelab.skeleton import Layout, list_layouts

FAMILIES = [card.name for card in list_models()]
# Their filters run over the joints in the order of the data.
ORDERED = ("aagcn", "shiftgcn", "freqmixformer", "posec3d", "usdrl")

# The joints of all bodies stand side by side in them, each with weights of its own.
SIDE_BY_SIDE = ("skateformer", "lstc_mda", "usdrl")


def make_model(name: str, layout: Layout = STICK, **arguments: int) -> SkeletonModel:
    """A small model whose every number matters, in eval mode and float64."""
    chosen: dict[str, Any] = {"num_classes": 4, **SMALL.get(name, {}), **arguments}
    model = create_model(name, layout=layout, **chosen)
    assert isinstance(model, SkeletonModel)
    model.double().eval()
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return model


@pytest.mark.parametrize("name", FAMILIES)
@settings(max_examples=8)
@given(
    layout=st.sampled_from(list_layouts()),
    clips=st.integers(1, 3),
    channels=st.integers(1, 9),
    steps=st.integers(1, 20),
    bodies=st.integers(1, 3),
    classes=st.integers(1, 7),
)
def test_any_layout_and_size_gives_finite_logits_of_the_features(
    name: str, layout: Layout, clips: int, channels: int, steps: int, bodies: int, classes: int
) -> None:
    frames = get_card(name).traits.nearest(steps)
    model = make_model(name, layout, num_classes=classes, in_channels=channels, max_bodies=bodies)
    x = torch.randn(clips, channels, frames, layout.num_joints, bodies, dtype=torch.float64)

    tokens = model.forward_features(x)
    logits = model(x)

    assert logits.shape == (clips, classes)
    assert logits.isfinite().all()
    assert torch.equal(logits, model.forward_head(model.pool(tokens)))


@pytest.mark.parametrize("name", FAMILIES)
@settings(max_examples=6)
@given(steps=st.integers(1, 20), keep=st.lists(st.booleans(), min_size=4, max_size=4))
def test_a_clips_logits_do_not_depend_on_its_neighbours_in_the_batch(
    name: str, steps: int, keep: list[bool]
) -> None:
    model = make_model(name)
    frames = get_card(name).traits.nearest(steps)
    x = torch.randn(4, 3, frames, 5, 2, dtype=torch.float64)
    chosen = torch.tensor([True, *keep[1:]])

    together, alone = model(x), model(x[chosen])

    torch.testing.assert_close(alone, together[chosen], rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("name", [name for name in FAMILIES if name not in ORDERED])
@settings(max_examples=6)
@given(order=st.permutations(range(5)))
def test_joints_in_another_order_give_the_same_logits_if_the_layout_says_so(
    name: str, order: list[int]
) -> None:
    place = {joint: index for index, joint in enumerate(order)}
    shuffled = replace(
        STICK,
        joints=tuple(STICK.joints[joint] for joint in order),
        bones=tuple((place[a], place[b]) for a, b in STICK.bones),
        pairs=tuple((place[a], place[b]) for a, b in STICK.pairs),
        centre=place[STICK.centre],
        origin=place[STICK.origin],
    )
    torch.manual_seed(0)
    model = create_model(name, num_classes=4, layout=STICK, **SMALL.get(name, {})).double().eval()
    torch.manual_seed(0)
    other = create_model(name, num_classes=4, layout=shuffled, **SMALL.get(name, {}))
    other = other.double().eval()
    embedding = other.input_norm
    if isinstance(embedding, EmbeddedBodyNorm):  # what says who a joint is was drawn joint by joint
        with torch.no_grad():
            embedding.position.copy_(embedding.position[:, order])
    frames = get_card(name).traits.nearest(9)
    x = torch.randn(2, 3, frames, 5, 2, dtype=torch.float64)

    expected, found = model(x), other(x[:, :, :, order])

    # new weights are drawn alike but for refinements, which are near zero and have a joint order
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", [name for name in FAMILIES if name not in SIDE_BY_SIDE])
def test_bodies_with_equal_weights_can_be_swapped(name: str) -> None:
    model = make_model(name)
    if model.input_norm.per_body:
        norm = model.input_norm.norm
        assert isinstance(norm, nn.BatchNorm1d)
        half = norm.num_features // 2  # channels and joints of the first body
        with torch.no_grad():
            norm.weight[half:], norm.bias[half:] = norm.weight[:half], norm.bias[:half]
    x = torch.randn(2, 3, get_card(name).traits.nearest(12), 5, 2, dtype=torch.float64)

    torch.testing.assert_close(model(x.flip(4)), model(x))


@pytest.mark.parametrize("name", FAMILIES)
def test_every_trained_number_matters_to_logits_and_losses_of_a_batch_in_training(
    name: str,
) -> None:
    model = make_model(name).train()
    frames = get_card(name).traits.nearest(12)
    x = torch.randn(3, 3, frames, 5, 2, dtype=torch.float64)

    texts = torch.randn(3, 512, dtype=torch.float64)  # of which few families know what to make
    given = ModelInput(x, labels=torch.tensor([0, 1, 3]), sidecars={"texts": texts})
    output = model.outputs(given)
    torch.autograd.backward(output.logits.square().sum() + sum(output.auxiliary.values()))

    trained = {key: value for key, value in model.named_parameters() if value.requires_grad}
    idle = [key for key, value in trained.items() if value.grad is None]
    assert idle == []
