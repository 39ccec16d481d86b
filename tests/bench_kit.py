"""Networks so small that measuring them takes no time."""

from pathlib import Path

import torch
from module_kit import SMALL

from skelab.data.feeding.feeder import FeederConfig
from skelab.inference.checkpoint import Checkpoint, InputSpec
from skelab.models import create_model, model_spec


def small_checkpoint(path: Path, window: int = 8) -> Path:
    """A small untrained CTR-GCN for two bodies of 25 joints, the same every time."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = create_model("ctrgcn", num_classes=3, **SMALL["ctrgcn"])
    feeder = FeederConfig(window=window)
    inputs = InputSpec("ctrgcn", "metres", "made-up", ("a", "b", "c"), feeder, synthetic=True)
    weights = model.state_dict()
    Checkpoint(model_spec(model), inputs, "name: small\n", weights, 0, "paper").save(path)
    return path
