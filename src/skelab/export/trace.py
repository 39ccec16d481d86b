"""Traces a network to a self-contained graph with ``torch.export``."""

import inspect
from typing import Any, Final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from skelab.errors import ExportError
from skelab.inference.extras import without_chatter
from skelab.inference.spec import NetworkSpec
from skelab.models import FamilyTraits, set_activation_policy, set_skip_absent

OLDEST_TORCH: Final = (2, 6)

_EXAMPLE_CLIPS: Final = 2  # 0 and 1 are specialised to constants


def trace_network(model: nn.Module, spec: NetworkSpec) -> Any:
    """Trace a network to a graph of ``torch.export`` for any number of clips.

    With dynamic frames in the description it also takes any length from 8 frames. A graph has no
    branches, so that absent bodies are computed like present ones.

    Args:
        model: The network; set to eval mode.
        spec: Its description, with the input shape.

    Returns:
        A ``torch.export.ExportedProgram`` from N C T V M to N K.

    Raises:
        ExportError: PyTorch is too old, the family does not take clips of the window's length, or
            PyTorch cannot trace the network.
    """
    _check_torch()
    if not spec.traits.takes(spec.window):
        raise ExportError(
            f"{spec.model.name}: expected a window whose number of frames is"
            f" {spec.traits.lengths}, found {spec.window}"
        )
    model = model.eval().requires_grad_(False)
    set_skip_absent(model, False)
    if any(getattr(module, "recomputes", False) for module in model.modules()):
        set_activation_policy(model, "keep")
    shape = spec.shape(_EXAMPLE_CLIPS)
    dynamic: dict[int, Any] = {0: torch.export.Dim("clips", min=1)}
    if spec.dynamic_frames:
        dynamic[2] = _frames(spec.lengths)
    options: dict[str, Any] = {"strict": False}
    name = "prefer_deferred_runtime_asserts_over_guards"  # lengths that are provably valid, but
    if name in inspect.signature(torch.export.export).parameters:  # not for PyTorch's solver
        options[name] = True
    try:
        with without_chatter(), torch.no_grad():
            return torch.export.export(
                _Network(model), (torch.randn(shape),), dynamic_shapes=(dynamic,), **options
            )
    except Exception as error:  # tracing runs the network's code, which may raise anything
        reason = " ".join(str(error).split())[:200]
        raise ExportError(
            f"{spec.model.name}: torch.export cannot trace a graph"
            f" {'for clips of any length ' if spec.dynamic_frames else ''}of it: {reason}"
        ) from error


class _Network(nn.Module):
    """Prefixes parameter names, so that none collides with an input or output."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.network = model

    def forward(self, clips: Float[Tensor, "N C T V M"]) -> Float[Tensor, "N K"]:
        logits: Tensor = self.network(clips)
        return logits


def _check_torch() -> None:
    found = tuple(int(part) for part in torch.__version__.split("+")[0].split(".")[:2])
    if found < OLDEST_TORCH:
        raise ExportError(
            f"exporting needs PyTorch {'.'.join(map(str, OLDEST_TORCH))} or newer, found"
            f" {torch.__version__}; checkpoints can be used with any: skelab predict CHECKPOINT"
        )


def _frames(lengths: FamilyTraits) -> Any:
    """The dynamic dimension of frames."""
    multiple, longest = lengths.frames_multiple_of, lengths.longest
    if multiple == 1:
        return torch.export.Dim("frames", min=lengths.shortest, max=longest)
    fewest = max(lengths.shortest // multiple, 2)
    most = None if longest is None else longest // multiple
    return multiple * torch.export.Dim("steps", min=fewest, max=most)
