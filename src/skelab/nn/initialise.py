"""How layers start; every function draws from torch's global generator."""

import math

from torch import nn


def init_convs_by_fan_out(module: nn.Module) -> None:
    """Give each 2D convolution in ``module`` weights for a ReLU that keeps gradients' variance.

    Weights are normal with standard deviation sqrt(2 / (output channels * kernel area)); biases
    are 0.

    Source: arXiv:1502.01852, equation 14.
    """
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, mode="fan_out")
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


def init_norms_near_one(module: nn.Module, std: float = 0.02) -> None:
    """Give each batch norm in ``module`` scales normal around 1, and no shift."""
    for layer in module.modules():
        if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
            nn.init.normal_(layer.weight, mean=1.0, std=std)
            nn.init.zeros_(layer.bias)


def init_classifier(layer: nn.Linear) -> None:
    """Give a classifier normal weights with standard deviation sqrt(2 / classes).

    The bias stays as it is, uniform within 1 / sqrt(features) in a new layer.
    """
    nn.init.normal_(layer.weight, std=math.sqrt(2.0 / layer.out_features))
