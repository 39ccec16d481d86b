"""Saved outputs of the authors' networks, and models filled with the weights that gave them.

Origin of the arrays: Uason-Chen/CTR-GCN@e13d758, kenziyuliu/MS-G3D@2f927f4,
kennymckormick/pyskl@3f6795f (stgcn, stgcnpp, aagcn), yysijie/st-gcn@221c0e1 (stgcn_official) and
kchengiva/Shift-GCN@20276b6, run on made-up clips with made-up weights and without dropout; no
weights or clips of a data set are in them.
"""

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from golden.golden_weights import fill
from numpy import ndarray
from torch import Tensor, nn

from skelab.models import SkeletonModel, import_weights
from skelab.nn import MultiScaleGraphConv

GOLDEN = Path(__file__).parent / "golden"
CASES = ("n2_t64", "n1_t52")
# 50 frames become 25 and 13: strides see odd lengths.
ODD_CASES_IN_BOTH_TYPES = (
    pytest.param("n1_t50", torch.float32, id="n1_t50-float32"),
    pytest.param("n1_t50", torch.float64, id="n1_t50-float64"),
    pytest.param("n2_t64", torch.float32, id="n2_t64-float32"),
    pytest.param("n2_t64", torch.float64, id="n2_t64-float64", marks=pytest.mark.slow),
)
_ADJACENCY = {1: "A_powers", 3: "A_scales_window3", 5: "A_scales_window5"}  # by window
BODIES_FIRST = ("stgcn", "stgcnpp", "aagcn")  # their clips are N M T V C


@cache
def read_json(network: str, name: str) -> Any:
    """The content of ``golden/<network>/<name>.json``; not to be changed."""
    return json.loads((GOLDEN / network / f"{name}.json").read_text())


@cache
def read_arrays(network: str, name: str) -> dict[str, ndarray]:
    """The arrays of ``golden/<network>/<name>.npz``; not to be changed."""
    with np.load(GOLDEN / network / f"{name}.npz") as archive:
        return {key: archive[key] for key in archive.files}


@cache
def golden_arrays(network: str) -> dict[str, ndarray]:
    """The kit's weights by the authors' keys, in their order; not to be changed."""
    fixed = GOLDEN / network / "fixed.npz"
    return fill(
        read_json(network, "state_dict"),
        read_json(network, "weights_check")["seed"],
        read_arrays(network, "fixed") if fixed.exists() else None,
    )


def golden_weights(network: str) -> dict[str, Tensor]:
    """The kit's weights by the authors' keys, in their order; fresh copies."""
    return {key: torch.tensor(value) for key, value in golden_arrays(network).items()}


def golden_model(network: str, dtype: torch.dtype = torch.float32) -> SkeletonModel:
    """The network with the kit's weights, in training mode.

    MS-G3D gets the kit's adjacency, too: its last bit depends on the processor that made it, and
    ``test_graph.py`` compares it with ours.
    """
    model = import_weights(network, golden_weights(network))
    assert isinstance(model, SkeletonModel)
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
        if isinstance(module, MultiScaleGraphConv):
            theirs = _ADJACENCY[module.window]
            module.adjacency.copy_(torch.tensor(read_arrays(network, "graph")[theirs]))
    return model.to(dtype)


def golden_input(network: str, case: str, dtype: torch.dtype = torch.float32) -> Tensor:
    """The clips N C T V M of a case."""
    x = torch.tensor(read_arrays(network, f"io_{case}")["x"]).to(dtype)
    return x.permute(0, 4, 2, 3, 1) if network in BODIES_FIRST else x


def golden_loss(model: nn.Module, network: str, case: str) -> Tensor:
    """Mean cross entropy of a case, in the model's own type and mode."""
    dtype = next(model.parameters()).dtype
    labels = torch.tensor(read_arrays(network, f"io_{case}")["labels"])
    logits = model(golden_input(network, case, dtype))
    return nn.functional.cross_entropy(logits, labels)


def relative_error(found: Tensor | ndarray, expected: ndarray) -> float:
    """Largest difference over the largest expected magnitude."""
    found = found.detach().numpy() if isinstance(found, Tensor) else np.asarray(found)
    return float(np.abs(found - expected).max() / np.abs(expected).max())
