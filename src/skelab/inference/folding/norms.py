"""Batch norms in eval mode are affine, so that they fold into what is linear beside them."""

from dataclasses import dataclass
from typing import cast

import numpy as np
from jaxtyping import Float64
from numpy import ndarray
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm


def as_float64(tensor: Tensor) -> Float64[ndarray, "..."]:
    """The numbers of a weight, in double precision, so that folding does not round twice."""
    return np.asarray(tensor.detach().double().cpu().numpy())


@dataclass(frozen=True)
class Affine:
    """``factor`` times each channel, plus ``offset``."""

    factor: Float64[ndarray, "*A C"]
    offset: Float64[ndarray, "*A C"]


@dataclass(frozen=True)
class Linear:
    """A convolution over time, or a 1x1: taps x channels in x channels out, and a bias."""

    weight: Float64[ndarray, "t C D"]
    bias: Float64[ndarray, " D"]

    def then(self, norm: Affine) -> "Linear":
        """This, then an affine map of its channels."""
        return Linear(self.weight * norm.factor, self.bias * norm.factor + norm.offset)

    @property
    def matrix(self) -> Float64[ndarray, "C D"]:
        """The weights of a 1x1."""
        matrix: Float64[ndarray, "C D"] = self.weight[0]
        return matrix


def norm_of(norm: nn.Module) -> Affine:
    """What a batch norm does in eval mode."""
    made = cast(_BatchNorm, norm)
    mean, var = (as_float64(cast(Tensor, each)) for each in (made.running_mean, made.running_var))
    factor = as_float64(made.weight) / np.sqrt(var + made.eps)
    return Affine(factor, as_float64(made.bias) - mean * factor)


def linear_of(conv: nn.Module, norm: nn.Module | None = None) -> Linear:
    """A convolution over time, with the norm that follows it."""
    made = cast(nn.Conv2d, conv)
    weight = as_float64(made.weight)[..., 0]  # D C t
    bias = np.zeros(len(weight)) if made.bias is None else as_float64(made.bias)
    linear = Linear(weight.transpose(2, 1, 0), bias)
    return linear if norm is None else linear.then(norm_of(norm))


def side_by_side(linears: list[Linear]) -> Linear:
    """Several maps of the same input as one."""
    return Linear(
        np.concatenate([each.weight for each in linears], axis=2),
        np.concatenate([each.bias for each in linears]),
    )
