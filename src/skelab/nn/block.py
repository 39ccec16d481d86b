"""Base class of blocks, with activation checkpointing."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.checkpoint import checkpoint

from skelab.nn.norm import Multiplicities, current_multiplicities, multiplicities


class Block(nn.Module):
    """Base class of a backbone's blocks: subclasses implement ``transform``.

    Attributes:
        recomputes: Activation checkpointing: keep only the block's input, and run ``transform``
            again in the backward pass. Outputs, gradients and batch-norm statistics are the same;
            memory falls and time rises. Do not set it on blocks nested in such a block.

    Source: arXiv:1604.06174 (checkpointing).
    """

    recomputes: bool = False

    def forward(self, x: Float[Tensor, "N C ..."]) -> Float[Tensor, "N D ..."]:
        """Apply the block, keeping its activations or recomputing them in the backward pass."""
        if not (self.recomputes and torch.is_grad_enabled()):
            return self.transform(x)
        output: Tensor = checkpoint(
            self.transform, x, use_reentrant=False, context_fn=self._recompute_contexts
        )
        return output

    def transform(self, x: Float[Tensor, "N C ..."]) -> Float[Tensor, "N D ..."]:
        """Compute the block's output; implemented by each subclass."""
        raise NotImplementedError

    def _recompute_contexts(
        self,
    ) -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
        return nullcontext(), _as_in_the_first_pass(self, current_multiplicities(self))


class ResidualBlock(Block):
    """Mix the joints, then the frames, add the (projected) input, and rectify.

    Args:
        spatial: Mixes the joints: N C T V to N D T V.
        temporal: Mixes the frames: N D T V to N D L V.
        residual: Carries the input to the shape of the output; None adds nothing.

    Source: arXiv:1801.07455; most graph networks of skeletons since.
    """

    def __init__(
        self, *, spatial: nn.Module, temporal: nn.Module, residual: nn.Module | None
    ) -> None:
        super().__init__()
        self.spatial = spatial
        self.temporal = temporal
        self.residual = residual

    def transform(self, x: Float[Tensor, "N C T V"]) -> Float[Tensor, "N D L V"]:
        """ReLU of what the convolutions make of x, plus x itself."""
        mixed: Tensor = self.temporal(self.spatial(x))
        if self.residual is not None:
            mixed = mixed + self.residual(x)
        return torch.relu(mixed)


@contextmanager
def _as_in_the_first_pass(module: nn.Module, counts: Multiplicities | None) -> Iterator[None]:
    """Repeat the first pass: the same multiplicities, and no second update of statistics."""
    with multiplicities(module, counts), _protect_statistics(module):
        yield


@contextmanager
def _protect_statistics(module: nn.Module) -> Iterator[None]:
    """Let batch norms update copies of their running statistics instead of the statistics.

    Switching the tracking off would save other tensors than the first pass did, which
    ``checkpoint`` rejects.
    """
    norms = [norm for norm in module.modules() if isinstance(norm, _BatchNorm) and norm.training]
    kept = [(norm, dict(norm.named_buffers(recurse=False))) for norm in norms]
    for norm, buffers in kept:
        for name, buffer in buffers.items():
            setattr(norm, name, buffer.clone())
    try:
        yield
    finally:
        for norm, buffers in kept:
            for name, buffer in buffers.items():
                setattr(norm, name, buffer)
