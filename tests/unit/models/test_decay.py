"""Weight decay of single parameters, as a family's authors have it."""

import pytest
import torch
from torch import nn

from skelab.errors import ModelError
from skelab.inference.checkpoint import optimizer_tensors, restore_optimizer
from skelab.models import create_model, list_models, parameter_groups
from skelab.models.registry import decay_factors


def small(name: str) -> nn.Module:
    return create_model(name, num_classes=3, layout="sbu15", max_bodies=1)


def decays(model: nn.Module, weight_decay: float) -> dict[str, float]:
    """The decay of each parameter that is in a group, by its name."""
    names = {parameter: name for name, parameter in model.named_parameters()}
    return {
        names[parameter]: group["weight_decay"]
        for group in parameter_groups(model, weight_decay)
        for parameter in group["params"]
    }


@pytest.mark.parametrize("name", [card.name for card in list_models()])
def test_every_parameter_that_learns_is_in_exactly_one_group(name: str) -> None:
    model = small(name)

    groups = parameter_groups(model, 0.01)

    grouped = [parameter for group in groups for parameter in group["params"]]
    learning = [parameter for parameter in model.parameters() if parameter.requires_grad]
    assert len(grouped) == len(learning)
    assert {id(parameter) for parameter in grouped} == {id(parameter) for parameter in learning}


@pytest.mark.parametrize("name", [card.name for card in list_models()])
def test_no_pattern_of_a_family_is_without_a_parameter(name: str) -> None:
    found = decays(small(name), 1.0)

    assert set(found.values()) == {1.0, *decay_factors(name).values()}


def test_a_family_that_says_nothing_has_one_group_in_the_order_of_its_parameters() -> None:
    model = small("ctrgcn")

    (group,) = parameter_groups(model, 0.0004)

    assert group["weight_decay"] == 0.0004
    for ours, theirs in zip(group["params"], model.parameters(), strict=True):
        assert ours is theirs


def test_shift_gcn_decays_as_with_its_authors() -> None:
    found = decays(small("shiftgcn"), 0.0001)

    for name, decay in found.items():
        if name.endswith("spatial.weight"):
            assert decay == pytest.approx(0.001), name
        elif name.endswith("spatial.mask"):
            assert decay == 0, name
        else:
            assert decay == 0.0001, name
    assert sum(name.endswith("spatial.weight") for name in found) == 10
    assert sum(name.endswith("spatial.mask") for name in found) == 10
    assert not any(name.endswith("joint_offset") for name in found)


def test_without_a_gradient_a_step_shrinks_each_parameter_by_its_own_decay() -> None:
    model = small("shiftgcn")
    before = {name: value.detach().clone() for name, value in model.named_parameters()}
    optimizer = torch.optim.SGD(parameter_groups(model, 0.01), lr=0.5)
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)

    optimizer.step()

    for name, value in model.named_parameters():
        factor = 10.0 if name.endswith("spatial.weight") else 1.0
        kept = name.endswith(("spatial.mask", "joint_offset"))
        expected = before[name] * (1.0 if kept else 1 - 0.5 * 0.01 * factor)
        torch.testing.assert_close(value.detach(), expected, msg=name)


def test_a_model_made_in_another_way_is_refused() -> None:
    with pytest.raises(ModelError, match="expected a model made by create_model"):
        parameter_groups(nn.Linear(2, 2), 0.1)


def test_an_optimiser_of_several_groups_goes_on_where_it_was_put_back() -> None:
    model, again = small("shiftgcn"), small("shiftgcn")
    optimizers = [
        torch.optim.SGD(parameter_groups(which, 0.01), lr=0.1, momentum=0.9)
        for which in (model, again)
    ]
    clips = torch.randn(2, 3, 8, 15, 1)

    def step(which: nn.Module, optimizer: torch.optim.Optimizer) -> None:
        optimizer.zero_grad()
        which(clips).square().mean().backward()
        optimizer.step()

    step(model, optimizers[0])
    again.load_state_dict(model.state_dict())
    kept = {name: value.clone() for name, value in optimizer_tensors(optimizers[0]).items()}
    restore_optimizer(optimizers[1], kept)
    step(model, optimizers[0])
    step(again, optimizers[1])

    for ours, theirs in zip(again.parameters(), model.parameters(), strict=True):
        assert torch.equal(ours, theirs)
