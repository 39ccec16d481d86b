"""Batch norms in eval mode are affine, so that they can be folded into what is linear beside them."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float64
from numpy import ndarray
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm


def as_float64(tensor: Tensor) -> Float64[ndarray, "..."]:
    """The numbers of a weight, in double precision, so that folding does not round twice."""
    return np.asarray(tensor.detach().double().cpu().numpy())


@dataclass(frozen=True)
class Affine:
    """``factor`` times each channel, plus ``offset``."""

    factor: Float64[ndarray, " C"]
    offset: Float64[ndarray, " C"]


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
        return self.weight[0]


def norm_of(norm: nn.Module) -> Affine:
    """What a batch norm does in eval mode."""
    assert isinstance(norm, _BatchNorm)
    assert norm.running_mean is not None and norm.running_var is not None
    mean, var = as_float64(norm.running_mean), as_float64(norm.running_var)
    factor = as_float64(norm.weight) / np.sqrt(var + norm.eps)
    return Affine(factor, as_float64(norm.bias) - mean * factor)


def linear_of(conv: nn.Module, norm: nn.Module | None = None) -> Linear:
    """A convolution over time, with the norm that follows it."""
    assert isinstance(conv, nn.Conv2d)
    weight = as_float64(conv.weight)[..., 0]  # D C t
    bias = np.zeros(len(weight)) if conv.bias is None else as_float64(conv.bias)
    linear = Linear(weight.transpose(2, 1, 0), bias)
    return linear if norm is None else linear.then(norm_of(norm))


def side_by_side(linears: list[Linear]) -> Linear:
    """Several maps of the same input as one."""
    return Linear(
        np.concatenate([each.weight for each in linears], axis=2),
        np.concatenate([each.bias for each in linears]),
    )


def all_finite(values: Float[ndarray, "..."]) -> bool:
    """Whether no number is NaN or infinite."""
    return bool(np.isfinite(values).all())
