"""Initialisation of layers; every function draws from torch's global generator."""

import math

from torch import nn


def init_convs_by_fan_out(module: nn.Module) -> None:
    """Kaiming initialisation (fan-out, gain of ReLU) of every 2D convolution in ``module``.

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
    """Draw the scale of every batch norm in ``module`` from a normal around 1; set its shift to 0.

    Source: the initialisation in the authors' code of CTR-GCN (Uason-Chen/CTR-GCN@e13d758) and
    ST-GCN (yysijie/st-gcn@221c0e1).
    """
    for layer in module.modules():
        if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
            nn.init.normal_(layer.weight, mean=1.0, std=std)
            nn.init.zeros_(layer.bias)


def init_classifier(layer: nn.Linear) -> None:
    """Draw a classifier's weights from a normal with standard deviation sqrt(2 / classes).

    The bias is left alone; in a new layer it is uniform within 1 / sqrt(features).

    Source: the initialisation in the authors' code of CTR-GCN (Uason-Chen/CTR-GCN@e13d758).
    """
    nn.init.normal_(layer.weight, std=math.sqrt(2.0 / layer.out_features))
