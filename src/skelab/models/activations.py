"""Activation checkpointing of a model."""

from torch import nn

from skelab.errors import ModelError, unknown_name
from skelab.nn import Block

ACTIVATION_POLICIES = ("keep", "recompute")


def set_activation_policy(model: nn.Module, policy: str) -> None:
    """Set whether every block of ``model`` keeps its activations or recomputes them.

    ``"recompute"`` keeps only the input of a block and runs the block again in the backward pass.
    Outputs, gradients and batch-norm statistics equal those of ``"keep"``. Without gradients the
    policy has no effect.

    Raises:
        ModelError: The policy is unknown, or the model has no block that can recompute.

    Source: arXiv:1604.06174.
    """
    if policy not in ACTIVATION_POLICIES:
        raise ModelError(unknown_name("activation policy", policy, ACTIVATION_POLICIES))
    blocks = [module for module in model.modules() if isinstance(module, Block)]
    if policy == "recompute" and not blocks:
        raise ModelError(
            f"{type(model).__name__}: expected blocks that can recompute their activations, found"
            " none; derive the model's blocks from skelab.nn.Block"
        )
    for block in blocks:
        block.recomputes = policy == "recompute"
