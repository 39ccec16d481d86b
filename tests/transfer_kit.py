"""Weights as a new network draws them, to be mapped onto."""

import torch
from torch import Tensor

from skelab.inference.checkpoint import build_model
from skelab.models import ModelSpec
from skelab.tasks import TaskSpec


def draw_weights(model: ModelSpec, seed: int, task: TaskSpec | None = None) -> dict[str, Tensor]:
    """The state dict of a new network, as a run with this seed draws it."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return dict(build_model(model, task).state_dict())
