"""Batch norm weighted by the multiplicity of each sample, so that duplicates can be dropped."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx, once_differentiable


@dataclass(frozen=True)
class Multiplicities:
    """The number of identical samples that each row of a batch represents.

    Attributes:
        counts: Whole numbers from 1, as floats.
        total: Their sum: the size of the batch with all duplicates.
    """

    counts: Float[Tensor, " R"]
    total: int


class _WeightedNorm(nn.modules.batchnorm._BatchNorm):
    """The common part of both weighted batch norms; see ``WeightedBatchNorm2d``."""

    multiplicities: Multiplicities | None = None

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002  the base's name
        """Normalise by the statistics of the batch with its duplicates; plain in eval mode."""
        if self.multiplicities is None or not takes_batch_statistics(self):
            return super().forward(input)
        self._check_input_dim(input)  # type: ignore[no-untyped-call]
        counts = _counts_of_rows(input, self.multiplicities)
        per_row = input.numel() // (input.shape[1] * len(self.multiplicities.counts))
        size = self.multiplicities.total * per_row  # values of a channel in the whole batch
        mean, var = _statistics(input.detach(), counts, size)
        self._track(mean, var * (size / (size - 1)))
        normed: Tensor = _Normalise.apply(  # type: ignore[no-untyped-call]
            input, self.weight, self.bias, mean, var, counts / size, self.eps
        )
        return normed

    @torch.no_grad()
    def _track(self, mean: Float[Tensor, " C"], unbiased_var: Float[Tensor, " C"]) -> None:
        if not self.training or self.running_mean is None or self.running_var is None:
            return
        share = self.momentum
        if self.num_batches_tracked is not None:
            self.num_batches_tracked.add_(1)
            if share is None:
                share = 1.0 / float(self.num_batches_tracked)
        share = 0.0 if share is None else share
        for running, seen in ((self.running_mean, mean), (self.running_var, unbiased_var)):
            running.mul_(1 - share).add_(seen.to(running.dtype), alpha=share)


class WeightedBatchNorm1d(_WeightedNorm, nn.BatchNorm1d):
    """``nn.BatchNorm1d`` weighted by multiplicity; see ``WeightedBatchNorm2d``.

    A batch may have a multiple of R rows, say T frames of each: row r * T + t counts as row r.

    Source: arXiv:1502.03167, with the terms of each row multiplied by its count.
    """


class WeightedBatchNorm2d(_WeightedNorm, nn.BatchNorm2d):
    """``nn.BatchNorm2d`` whose statistics weight each row by its multiplicity.

    Of identical rows only one is computed, and ``multiplicities`` gives their number. Outputs,
    gradients and running statistics equal those of the full batch within rounding. The incoming
    gradient of a row must be the sum over its duplicates. Without ``multiplicities``, and in eval
    mode, the layer is ``nn.BatchNorm2d``. Second derivatives are not supported.

    Source: arXiv:1502.03167, with the terms of each row multiplied by its count.
    """


_WEIGHTED: dict[type[nn.Module], type[_WeightedNorm]] = {
    nn.BatchNorm1d: WeightedBatchNorm1d,
    nn.BatchNorm2d: WeightedBatchNorm2d,
}


def with_weighted_norms(module: nn.Module) -> nn.Module:
    """Make every 1D and 2D batch norm in ``module`` a weighted one, in place; returns the module.

    Weights, statistics, keys and hooks are unchanged: only the class of a norm is replaced.
    """
    for layer in module.modules():
        if type(layer) in _WEIGHTED:
            layer.__class__ = _WEIGHTED[type(layer)]
    return module


def current_multiplicities(module: nn.Module) -> Multiplicities | None:
    """The multiplicities that are set in ``module``; None if every row represents itself."""
    return next(
        (layer.multiplicities for layer in module.modules() if isinstance(layer, _WeightedNorm)),
        None,
    )


@contextmanager
def multiplicities(module: nn.Module, counts: Multiplicities | None) -> Iterator[None]:
    """Set the multiplicities of the weighted batch norms in ``module`` within a block."""
    norms = [layer for layer in module.modules() if isinstance(layer, _WeightedNorm)]
    before = [norm.multiplicities for norm in norms]
    for norm in norms:
        norm.multiplicities = counts
    try:
        yield
    finally:
        for norm, counts_before in zip(norms, before, strict=True):
            norm.multiplicities = counts_before


def takes_batch_statistics(norm: nn.modules.batchnorm._BatchNorm) -> bool:
    """Whether a batch norm uses the statistics of the current batch, as in training."""
    return norm.training or norm.running_mean is None


def keeps_duplicates_identical(module: nn.Module) -> bool:
    """Whether identical samples give identical outputs, so that duplicates can be dropped.

    They do not where a layer is random, such as dropout, or uses batch statistics without
    multiplicities. Only PyTorch's own layers are recognised.
    """
    return not any(_separates_duplicates(layer) for layer in module.modules())


def _separates_duplicates(layer: nn.Module) -> bool:
    if isinstance(layer, nn.modules.batchnorm._BatchNorm):
        return takes_batch_statistics(layer) and not isinstance(layer, _WeightedNorm)
    if isinstance(layer, nn.modules.instancenorm._InstanceNorm):
        return layer.training and layer.track_running_stats
    if isinstance(layer, nn.modules.dropout._DropoutNd):
        return layer.training and layer.p > 0
    return layer.training and isinstance(layer, nn.RReLU)


def _counts_of_rows(x: Float[Tensor, "B C *L"], rows: Multiplicities) -> Float[Tensor, " B"]:
    """The multiplicity of each row of ``x``, which may have several rows per sample."""
    counts = rows.counts.to(_wide(x[:0]).dtype)
    return counts.repeat_interleave(len(x) // len(counts))


def _statistics(
    x: Float[Tensor, "B C *L"], counts: Float[Tensor, " B"], size: int
) -> tuple[Float[Tensor, " C"], Float[Tensor, " C"]]:
    """Mean and biased variance of each channel over the ``size`` values of the full batch.

    16-bit values are accumulated in 32 bits.
    """
    x, counts = _wide(x), counts.unsqueeze(1)  # B 1
    mean = (_row_sums(x) * counts).sum(dim=0) / size
    var = (_row_sums((x - _along_channels(mean, x)).square_()) * counts).sum(dim=0) / size
    return mean, var


class _Normalise(torch.autograd.Function):
    """Batch norm by given statistics, differentiated through them as functions of the batch.

    ``shares`` is the multiplicity of each row over the number of values of a channel in the full
    batch.
    """

    @staticmethod
    def forward(
        x: Float[Tensor, "B C *L"],
        weight: Float[Tensor, " C"] | None,
        bias: Float[Tensor, " C"] | None,
        mean: Float[Tensor, " C"],
        var: Float[Tensor, " C"],
        shares: Float[Tensor, " B"],
        eps: float,
    ) -> Float[Tensor, "B C *L"]:
        return F.batch_norm(x, mean, var, weight, bias, training=False, eps=eps)

    @staticmethod
    def setup_context(ctx: FunctionCtx, inputs: tuple[Any, ...], output: Tensor) -> None:
        x, weight, _, mean, var, shares, eps = inputs
        ctx.save_for_backward(x, weight, mean, var, shares)
        ctx.eps = eps  # type: ignore[attr-defined]

    @staticmethod
    @once_differentiable
    def backward(
        ctx: Any, gradient: Float[Tensor, "B C *L"]
    ) -> tuple[Tensor | None, Tensor | None, Tensor | None, None, None, None, None]:
        x, weight, mean, var, shares = ctx.saved_tensors
        needs_x, needs_weight, needs_bias = ctx.needs_input_grad[:3]
        inverse = torch.rsqrt(var + ctx.eps)  # C
        wide = _wide(gradient)
        deviation = _wide(x) - _along_channels(mean, x)
        of_bias = _row_sums(wide).sum(dim=0)
        of_weight = _row_sums(wide * deviation).sum(dim=0) * inverse
        of_x = None
        if needs_x:
            scale = inverse if weight is None else inverse * weight.to(inverse.dtype)
            slope = torch.outer(shares, scale * inverse * of_weight)  # B C
            offset = torch.outer(shares, scale * of_bias)
            axes = (...,) + (None,) * (x.ndim - 2)
            common = deviation.mul_(slope[axes]).add_(offset[axes])
            of_x = (wide * _along_channels(scale, x)).sub_(common).to(x.dtype)
        return (
            of_x,
            of_weight.to(weight.dtype) if needs_weight else None,
            of_bias.to(weight.dtype) if needs_bias else None,
            None,
            None,
            None,
            None,
        )


def _wide(x: Tensor) -> Tensor:
    """The values in at least 32 bits."""
    return x.float() if x.dtype in (torch.float16, torch.bfloat16) else x


def _row_sums(x: Float[Tensor, "B C *L"]) -> Float[Tensor, "B C"]:
    return x.flatten(2).sum(dim=2) if x.ndim > 2 else x


def _along_channels(values: Float[Tensor, " C"], x: Float[Tensor, "B C *L"]) -> Tensor:
    """One value per channel, in a shape that broadcasts over ``x``."""
    return values.view(-1, *[1] * (x.ndim - 2))
