"""New layers have the spread that their rule promises."""

import math

import pytest
import torch
from torch import nn

from skelab.nn import init_classifier, init_convs_by_fan_out, init_norms_near_one


def test_convolutions_spread_by_the_outputs_that_each_input_reaches() -> None:
    torch.manual_seed(0)
    conv = nn.Conv2d(64, 128, kernel_size=(5, 1))

    init_convs_by_fan_out(nn.Sequential(conv))

    assert conv.bias is not None
    assert float(conv.weight.detach().std()) == pytest.approx(math.sqrt(2 / (128 * 5)), rel=0.02)
    assert not conv.bias.any()


def test_norms_spread_around_one_by_the_deviation_given() -> None:
    torch.manual_seed(0)
    norm = nn.BatchNorm2d(10_000)

    init_norms_near_one(norm, std=0.05)

    assert float(norm.weight.detach().mean()) == pytest.approx(1.0, abs=0.002)
    assert float(norm.weight.detach().std()) == pytest.approx(0.05, rel=0.03)
    assert not norm.bias.any()


def test_a_classifier_spreads_by_its_classes() -> None:
    torch.manual_seed(0)
    layer = nn.Linear(256, 60)

    init_classifier(layer)

    assert float(layer.weight.detach().std()) == pytest.approx(math.sqrt(2 / 60), rel=0.03)
    assert float(layer.bias.detach().abs().max()) <= 1 / 16
