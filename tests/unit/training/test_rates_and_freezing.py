"""Rates by depth, and parameters that stay as they are."""

from itertools import pairwise

import pytest
import torch
from torch import nn

from skelab.errors import TrainingError
from skelab.models import create_model, list_models, parameter_groups
from skelab.training.config import TrainingConfig, TransferConfig
from skelab.training.groups import (
    frozen_norms,
    parameter_treatments,
    set_training_mode,
    training_groups,
)
from skelab.training.step import make_optimizer

WIDTHS = {
    "msg3d": 6,
    "stgcnpp": 6,
    "aagcn": 8,
    "blockgcn": 8,
    "dgstgcn": 8,
    "hdgcn": 16,
    "lstc_mda": 32,
    "skeletonagent": 8,
    "freqmixformer": 20,
    "skateformer": 32,
    "hypergcn": 32,
    "infogcn": 8,
    "protogcn": 8,
}
BLOCKS = {
    "msg3d": 3,
    "hypergcn": 9,
    "infogcn": 9,
    "skeletonagent": 9,
    "skateformer": 4,
    "lstc_mda": 4,
    "posec3d": 4,
    "usdrl": 3,
}
FAMILIES = [card.name for card in list_models()]


def small(name: str = "ctrgcn") -> nn.Module:
    return create_model(name, num_classes=3, layout="sbu15", width=WIDTHS.get(name, 4))


def parameters(model: nn.Module) -> list[str]:
    return [name for name, _ in model.named_parameters()]


@pytest.mark.parametrize("name", FAMILIES)
def test_each_block_nearer_the_input_has_the_factor_once_more(name: str) -> None:
    names = parameters(small(name))

    found = parameter_treatments(names, transfer=TransferConfig(depth_decay=0.5))

    children = [key.split(".")[1] for key in names if key.startswith("backbone.")]
    order = list(dict.fromkeys(children))
    blocks = len(order)
    for parameter in names:
        place = parameter.split(".")
        steps = blocks + 1 if place[0] == "input_norm" else 0  # what is no block is the head
        steps = blocks - order.index(place[1]) if place[0] == "backbone" else steps
        assert found[parameter].rate == 0.5**steps, parameter
        assert not found[parameter].frozen
    assert blocks == BLOCKS.get(name, 10)


def test_a_network_without_a_backbone_has_its_children_for_blocks() -> None:
    names = ["norm.weight", "norm.bias", "middle.0.weight", "head.weight"]

    found = parameter_treatments(names, transfer=TransferConfig(depth_decay=0.5))

    assert [found[name].rate for name in names] == [0.25, 0.25, 0.5, 1.0]


def test_patterns_freeze_what_they_find() -> None:
    names = parameters(small())

    found = parameter_treatments(
        names, transfer=TransferConfig(freeze=("input_norm", r"backbone\.[01]\."))
    )

    frozen = {name for name, treatment in found.items() if treatment.frozen}
    assert frozen == {
        name for name in names if name.startswith(("input_norm.", "backbone.0.", "backbone.1."))
    }


def test_a_pattern_that_is_in_no_name_is_refused_with_some_names() -> None:
    with pytest.raises(TrainingError) as caught:
        parameter_treatments(parameters(small()), transfer=TransferConfig(freeze=("backbnoe",)))

    said = str(caught.value)
    assert said.startswith("--freeze backbnoe: matches no parameter name")
    assert "input_norm.norm.weight, backbone." in said
    assert said.endswith("classifier.bias")


def test_nothing_left_to_train_is_refused() -> None:
    with pytest.raises(TrainingError, match=r"--freeze .: every parameter is frozen"):
        parameter_treatments(parameters(small()), transfer=TransferConfig(freeze=(".",)))


def test_frozen_parameters_take_no_gradient_no_step_and_no_decay() -> None:
    model = small()
    before = {name: value.detach().clone() for name, value in model.named_parameters()}

    transfer = TransferConfig(freeze=("backbone",))
    optimizer = make_optimizer(model, TrainingConfig(weight_decay=0.1), transfer=transfer)
    model(torch.randn(2, 3, 8, 15, 2)).square().sum().backward()
    optimizer.step()

    for name, value in model.named_parameters():
        assert (value.grad is None) == name.startswith("backbone"), name
        assert torch.equal(value, before[name]) == name.startswith("backbone"), name


def test_norms_whose_parameters_are_all_frozen_stay_in_eval_mode() -> None:
    model = small()
    patterns = TransferConfig(freeze=(r"^backbone\.0\.", r"input_norm.norm.weight"))
    training_groups(model, TrainingConfig(), patterns)
    before = {name: value.clone() for name, value in model.named_buffers()}

    set_training_mode(model)
    model(torch.randn(4, 3, 8, 15, 2))

    held = frozen_norms(model)
    assert held
    assert all(name.startswith("backbone.0.") for name in held)
    changed = {
        name for name, value in model.named_buffers() if not torch.equal(value, before[name])
    }
    assert not any(name.startswith("backbone.0.") for name in changed)
    assert "input_norm.norm.running_mean" in changed  # its bias trains on
    assert "backbone.1.spatial.norm.running_mean" in changed


@pytest.mark.parametrize("name", ["ctrgcn", "shiftgcn"])
def test_groups_are_parted_by_rate_and_keep_their_decay(name: str) -> None:
    model = small(name)
    treatments = parameter_treatments(parameters(model), transfer=TransferConfig(depth_decay=0.5))
    groups = parameter_groups(model, 0.1)

    config = TrainingConfig(weight_decay=0.1)
    parted = training_groups(model, config, TransferConfig(depth_decay=0.5))

    decays = {id(p): group["weight_decay"] for group in groups for p in group["params"]}
    factors = {
        id(p): (group["weight_decay"], group.get("rate_factor", 1.0))
        for group in parted
        for p in group["params"]
    }
    assert len(factors) == len(decays)
    for parameter, value in model.named_parameters():
        if value.requires_grad:
            rate = treatments[parameter].rate
            assert factors[id(value)] == (decays[id(value)], rate)


def test_a_step_moves_each_block_by_its_rate() -> None:
    torch.manual_seed(0)
    model = small()
    treatments = parameter_treatments(parameters(model), transfer=TransferConfig(depth_decay=0.5))
    config = TrainingConfig(learning_rate=0.1, momentum=0.0, nesterov=False, weight_decay=0.0)
    optimizer = make_optimizer(model, config, transfer=TransferConfig(depth_decay=0.5))
    for group in optimizer.param_groups:
        group["lr"] *= group.get("rate_factor", 1.0)
    before = {name: value.detach().clone() for name, value in model.named_parameters()}

    model(torch.randn(2, 3, 8, 15, 2)).square().sum().backward()
    optimizer.step()

    for name, value in model.named_parameters():
        assert value.grad is not None
        expected = before[name] - 0.1 * treatments[name].rate * value.grad
        torch.testing.assert_close(value, expected)
    rates = sorted({group["lr"] for group in optimizer.param_groups})
    assert all(b == pytest.approx(2 * a) for a, b in pairwise(rates[1:-1]))


def test_a_pattern_that_cannot_be_read_is_refused() -> None:
    with pytest.raises(ValueError, match=r"'\*norm' is no regular expression: nothing to repeat"):
        TransferConfig(freeze=("*norm",))
