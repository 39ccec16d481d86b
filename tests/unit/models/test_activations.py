"""Every family trains the same whether it keeps its activations or recomputes them."""

import copy

import pytest
import torch
from module_kit import SMALL
from torch import Tensor, nn

from skelab.errors import ModelError
from skelab.models import create_model, get_card, list_models, set_activation_policy

FAMILIES = [card.name for card in list_models()]


def saved_bytes(model: nn.Module, x: Tensor) -> int:
    """Bytes that a forward pass keeps for the backward pass, each storage counted once."""
    own = {tensor.untyped_storage().data_ptr() for tensor in [*model.parameters(), x]}
    kept: dict[int, Tensor] = {}

    def pack(tensor: Tensor) -> Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor  # held, so that none is reused
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        logits = model(x)
    assert logits.requires_grad
    return sum(tensor.untyped_storage().nbytes() for key, tensor in kept.items() if key not in own)


# They take no clip of fewer than 64 frames.
LONG = ("freqmixformer", "lstc_mda", "skateformer", "usdrl")


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[pytest.mark.slow] if name in LONG else []) for name in FAMILIES],
)
def test_two_steps_give_the_same_losses_gradients_and_buffers(name: str) -> None:
    torch.manual_seed(0)
    keeping = create_model(name, num_classes=5, **{**SMALL.get(name, {}), "dropout": 0.3}).double()
    recomputing = copy.deepcopy(keeping)
    set_activation_policy(recomputing, "recompute")
    frames = get_card(name).traits.nearest(12)
    x = torch.randn(3, 3, frames, 25, 2, dtype=torch.float64)
    labels = torch.tensor([0, 3, 4])

    losses = []
    for model in (keeping, recomputing):
        torch.manual_seed(1)
        optimiser = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
        for _ in range(2):
            loss = nn.functional.cross_entropy(model(x), labels)
            optimiser.zero_grad()
            torch.autograd.backward(loss)
            optimiser.step()
            losses.append(loss.item())

    assert losses[:2] == losses[2:]
    for (key, kept), recomputed in zip(
        keeping.named_parameters(), recomputing.parameters(), strict=True
    ):
        if not kept.requires_grad:
            continue
        if kept.grad is None or recomputed.grad is None:  # what auxiliary losses alone train
            assert kept.grad is recomputed.grad is None, key
            continue
        assert torch.equal(kept.grad, recomputed.grad), key
    for (key, before), after in zip(keeping.named_buffers(), recomputing.buffers(), strict=True):
        assert torch.equal(before, after), key


@pytest.mark.parametrize(
    ("name", "frames", "at_most"), [("ctrgcn", 64, 1 / 15), ("msg3d", 64, 1 / 10)]
)
def test_recomputing_keeps_a_small_part_of_the_activations(
    name: str, frames: int, at_most: float
) -> None:
    model = create_model(name, num_classes=60)
    x = torch.randn(1, 3, frames, 25, 2)

    kept = saved_bytes(model, x)
    set_activation_policy(model, "recompute")
    recomputed = saved_bytes(model, x)

    assert recomputed <= at_most * kept


def test_the_policy_can_be_taken_back() -> None:
    model = create_model("ctrgcn", num_classes=2, width=4)
    x = torch.randn(1, 3, 8, 25, 2)
    kept = saved_bytes(model, x)

    set_activation_policy(model, "recompute")
    set_activation_policy(model, "keep")

    assert saved_bytes(model, x) == kept


def test_an_unknown_policy_is_refused() -> None:
    with pytest.raises(ModelError, match=r"unknown activation policy 'offload'. Known: keep"):
        set_activation_policy(nn.Identity(), "offload")


def test_a_model_without_blocks_cannot_recompute() -> None:
    with pytest.raises(ModelError, match=r"Identity: expected blocks .* derive .*skelab.nn.Block"):
        set_activation_policy(nn.Identity(), "recompute")


def test_a_model_without_blocks_keeps_its_activations() -> None:
    set_activation_policy(nn.Identity(), "keep")
