"""Which parameters are trained how: patterns of the recipe beside what the family says."""

import pytest
import torch
from torch import nn

from skelab.errors import TrainingError
from skelab.models import create_model, parameter_groups
from skelab.training.config import GroupConfig, TrainingConfig
from skelab.training.groups import training_groups


def network(name: str = "tiny") -> nn.Module:
    torch.manual_seed(0)
    return create_model(name, num_classes=3, layout="sbu15")


def by_name(model: nn.Module, config: TrainingConfig) -> dict[str, tuple[float, float]]:
    """Rate factor and weight decay of each parameter that is trained."""
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    return {
        names[id(parameter)]: (group["rate_factor"], group["weight_decay"])
        for group in training_groups(model, config)
        for parameter in group["params"]
    }


@pytest.mark.parametrize("name", ["tiny", "shiftgcn"])
def test_without_groups_they_are_those_of_the_family_in_its_order(name: str) -> None:
    model = network(name)

    found = training_groups(model, TrainingConfig())

    expected = parameter_groups(model, 0.0004)
    assert [group.pop("rate_factor") for group in found] == [1.0] * len(expected)
    assert [group["weight_decay"] for group in found] == [g["weight_decay"] for g in expected]
    for here, there in zip(found, expected, strict=True):
        assert all(a is b for a, b in zip(here["params"], there["params"], strict=True))


def test_the_first_pattern_that_is_found_counts() -> None:
    groups = (
        GroupConfig(pattern="bias$", decay=0.0),
        GroupConfig(pattern="^classifier", rate=10.0, decay=2.0),
    )

    found = by_name(network(), TrainingConfig(weight_decay=0.01, groups=groups))

    assert found == {
        "norm.weight": (1.0, 0.01),
        "norm.bias": (1.0, 0.0),
        "classifier.weight": (10.0, 0.02),
        "classifier.bias": (1.0, 0.0),
    }


def test_factors_of_the_family_stay_beside_those_of_the_recipe() -> None:
    model = network("shiftgcn")
    plain = by_name(model, TrainingConfig(weight_decay=0.01))

    found = by_name(
        model, TrainingConfig(weight_decay=0.01, groups=(GroupConfig(pattern=".", decay=0.5),))
    )

    assert len({decay for _, decay in plain.values()}) > 1
    assert {name: decay for name, (_, decay) in found.items()} == {
        name: 0.5 * decay for name, (_, decay) in plain.items()
    }


def test_frozen_parameters_are_in_no_group_and_get_no_gradient() -> None:
    model = network()
    groups = (GroupConfig(pattern="^norm", frozen=True),)

    found = by_name(model, TrainingConfig(groups=groups))

    assert set(found) == {"classifier.weight", "classifier.bias"}
    frozen = {name for name, value in model.named_parameters() if not value.requires_grad}
    assert frozen == {"norm.weight", "norm.bias"}


def test_a_pattern_that_is_found_nowhere_is_refused_with_names_that_there_are() -> None:
    groups = (GroupConfig(pattern="^backbone"),)

    with pytest.raises(
        TrainingError,
        match=r"^training\.groups, pattern '\^backbone': matches no parameter name; names of the"
        r" network begin with, say, norm\.weight, norm\.bias, classifier\.weight,"
        r" classifier\.bias$",
    ):
        training_groups(network(), TrainingConfig(groups=groups))


def test_a_network_that_is_frozen_whole_is_refused() -> None:
    groups = (GroupConfig(pattern=".", frozen=True),)

    with pytest.raises(TrainingError, match="every parameter is frozen, nothing is left to train"):
        training_groups(network(), TrainingConfig(groups=groups))
