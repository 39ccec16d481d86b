"""Batch norms that count a row as often as it stands for equal rows that were left out."""

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
class RowCounts:
    """How many equal rows each row of a batch stands for.

    Attributes:
        counts: Whole numbers from 1, as floats.
        total: Their sum, R with all the rows that were left out.
    """

    counts: Float[Tensor, " R"]
    total: int


class _CountedNorm(nn.modules.batchnorm._BatchNorm):
    """What both kinds share; see ``CountedBatchNorm2d``."""

    row_counts: RowCounts | None = None

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002  the base's name
        """Normalise by the batch with its left-out rows, or, in eval mode, as any batch norm."""
        if self.row_counts is None or not takes_batch_statistics(self):
            return super().forward(input)
        self._check_input_dim(input)  # type: ignore[no-untyped-call]
        counts = _row_counts_of(input, self.row_counts)
        per_row = input.numel() // (input.shape[1] * len(self.row_counts.counts))
        size = self.row_counts.total * per_row  # numbers of a channel in the whole batch
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


class CountedBatchNorm1d(_CountedNorm, nn.BatchNorm1d):
    """``nn.BatchNorm1d`` that heeds ``row_counts``; see ``CountedBatchNorm2d``.

    A batch may have a multiple of R rows, say T frames of each: row r * T + t counts as row r.
    """


class CountedBatchNorm2d(_CountedNorm, nn.BatchNorm2d):
    """``nn.BatchNorm2d`` that heeds ``row_counts``.

    Where rows that are equal were left out but for one, and ``row_counts`` says how many that one
    stands for, outputs, gradients and running statistics are those of the whole batch within
    rounding. The gradient that comes back for a row must be the sum over all that it stands for.
    Without ``row_counts``, and in eval mode, it is ``nn.BatchNorm2d``. Gradients of gradients
    cannot be taken.

    Source: arXiv:1502.03167, with each row's terms multiplied by its count.
    """


_COUNTED: dict[type[nn.Module], type[_CountedNorm]] = {
    nn.BatchNorm1d: CountedBatchNorm1d,
    nn.BatchNorm2d: CountedBatchNorm2d,
}


def with_counted_norms(module: nn.Module) -> nn.Module:
    """The module itself, every 1D and 2D batch norm in it made one that heeds ``row_counts``.

    Weights, statistics, keys and hooks stay as they are: a norm only gets another class.
    """
    for layer in module.modules():
        if type(layer) in _COUNTED:
            layer.__class__ = _COUNTED[type(layer)]
    return module


def current_row_counts(module: nn.Module) -> RowCounts | None:
    """The counts that the batch norms in ``module`` heed now, None if rows stand for themselves."""
    return next(
        (layer.row_counts for layer in module.modules() if isinstance(layer, _CountedNorm)), None
    )


@contextmanager
def row_counts(module: nn.Module, counts: RowCounts | None) -> Iterator[None]:
    """Let the counted batch norms in ``module`` take their statistics with these counts."""
    norms = [layer for layer in module.modules() if isinstance(layer, _CountedNorm)]
    before = [norm.row_counts for norm in norms]
    for norm in norms:
        norm.row_counts = counts
    try:
        yield
    finally:
        for norm, counts_before in zip(norms, before, strict=True):
            norm.row_counts = counts_before


def takes_batch_statistics(norm: nn.modules.batchnorm._BatchNorm) -> bool:
    """Whether a batch norm normalises by the batch that it sees, as in training."""
    return norm.training or norm.running_mean is None


def treats_equal_rows_alike(module: nn.Module) -> bool:
    """Whether equal rows of a batch leave ``module`` equal, and may be left out but for one.

    They do not where a layer drops or draws at random, or takes statistics of the batch without
    heeding ``row_counts``. Only PyTorch's own layers are known.
    """
    return not any(_tells_equal_rows_apart(layer) for layer in module.modules())


def _tells_equal_rows_apart(layer: nn.Module) -> bool:
    if isinstance(layer, nn.modules.batchnorm._BatchNorm):
        return takes_batch_statistics(layer) and not isinstance(layer, _CountedNorm)
    if isinstance(layer, nn.modules.instancenorm._InstanceNorm):
        return layer.training and layer.track_running_stats
    if isinstance(layer, nn.modules.dropout._DropoutNd):
        return layer.training and layer.p > 0
    return layer.training and isinstance(layer, nn.RReLU)


def _row_counts_of(x: Float[Tensor, "B C *L"], rows: RowCounts) -> Float[Tensor, " B"]:
    """The count of each row of ``x``, which has a multiple of the rows that were counted."""
    counts = rows.counts.to(_wide(x[:0]).dtype)
    return counts.repeat_interleave(len(x) // len(counts))


def _statistics(
    x: Float[Tensor, "B C *L"], counts: Float[Tensor, " B"], size: int
) -> tuple[Float[Tensor, " C"], Float[Tensor, " C"]]:
    """Mean and biased variance of each channel over the ``size`` numbers of the whole batch.

    16-bit numbers are summed in 32 bits.
    """
    x, counts = _wide(x), counts.unsqueeze(1)  # B 1
    mean = (_row_sums(x) * counts).sum(dim=0) / size
    var = (_row_sums((x - _along_channels(mean, x)).square_()) * counts).sum(dim=0) / size
    return mean, var


class _Normalise(torch.autograd.Function):
    """Batch norm by given statistics, differentiated as what they are: functions of the batch.

    ``shares`` is each row's count over the numbers of a channel in the whole batch.
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
    """The numbers in at least 32 bits."""
    return x.float() if x.dtype in (torch.float16, torch.bfloat16) else x


def _row_sums(x: Float[Tensor, "B C *L"]) -> Float[Tensor, "B C"]:
    return x.flatten(2).sum(dim=2) if x.ndim > 2 else x


def _along_channels(values: Float[Tensor, " C"], x: Float[Tensor, "B C *L"]) -> Tensor:
    """One number a channel, to be broadcast over ``x``."""
    return values.view(-1, *[1] * (x.ndim - 2))
