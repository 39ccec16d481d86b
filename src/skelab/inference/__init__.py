"""Trained networks: checkpoints and exported files, what computes them, scores and predictions."""

from skelab.inference.checkpoint import (
    Checkpoint,
    InputSpec,
    chosen_checkpoint,
    load_checkpoint,
    read_checkpoint,
)
from skelab.inference.engines import FASTEST, list_engines
from skelab.inference.files import NetworkFile, read_network_file
from skelab.inference.network import Network, Prediction, open_network
from skelab.inference.predict import predict
from skelab.inference.spec import NetworkSpec

__all__ = [
    "FASTEST",
    "Checkpoint",
    "InputSpec",
    "Network",
    "NetworkFile",
    "NetworkSpec",
    "Prediction",
    "chosen_checkpoint",
    "list_engines",
    "load_checkpoint",
    "open_network",
    "predict",
    "read_checkpoint",
    "read_network_file",
]
