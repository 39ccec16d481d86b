"""Saved outputs of the authors' networks, and models filled with the weights that gave them.

Origin of the arrays: Uason-Chen/CTR-GCN@e13d758, kenziyuliu/MS-G3D@2f927f4,
kennymckormick/pyskl@3f6795f (stgcn, stgcnpp, aagcn), yysijie/st-gcn@221c0e1 (stgcn_official) and
kchengiva/Shift-GCN@20276b6, run on made-up clips with made-up weights and without dropout; no
weights or clips of a data set are in them.
"""

import gzip
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

from skelab.models import ModelInput, SkeletonModel, import_weights
from skelab.models.families.infogcn import CodePooling
from skelab.models.families.posec3d import HEAT_MAPS
from skelab.models.families.skeletonagent import SkeletonAgentModel
from skelab.models.families.usdrl import SelfAttention
from skelab.models.skate import PHASE, body_parts
from skelab.nn import MultiScaleGraphConv
from skelab.skeleton import get_layout

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
BODIES_FIRST = (
    "stgcn",
    "stgcnpp",
    "aagcn",
    "dgstgcn",
    "protogcn",
    "skeletonagent",
)  # their clips are N M T V C
PARTS_ONLY = ("skateformer", "lstc_mda_tiny")  # their clips lack a joint and are in another order


def family_of(network: str) -> str:
    """The family of a kit: its name, unless the kit is of a small network."""
    return network.removesuffix("_tiny")


def kit_of(family: str) -> str:
    """The kit of a family: of its full size, or of a small network."""
    return family if (GOLDEN / family).exists() else f"{family}_tiny"


@cache
def read_json(network: str, name: str) -> Any:
    """The content of ``golden/<network>/<name>.json``, plain or packed; not to be changed."""
    plain = GOLDEN / network / f"{name}.json"
    if plain.exists():
        return json.loads(plain.read_text())
    return json.loads(gzip.decompress(plain.with_suffix(".json.gz").read_bytes()))


def has_json(network: str, name: str) -> bool:
    """Whether the kit has this file."""
    return any((GOLDEN / network / f"{name}.json{packed}").exists() for packed in ("", ".gz"))


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
    model = import_weights(family_of(network), golden_weights(network))
    assert isinstance(model, SkeletonModel)
    if network == "usdrl_tiny":  # weights do not tell the heads
        for module in model.modules():
            if isinstance(module, SelfAttention):
                module.heads = 2
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
        if isinstance(module, CodePooling):
            module.noise = 0.0
        if isinstance(module, MultiScaleGraphConv):
            theirs = _ADJACENCY[module.window]
            module.adjacency.copy_(torch.tensor(read_arrays(network, "graph")[theirs]))
    return model.to(dtype)


def golden_input(network: str, case: str, dtype: torch.dtype = torch.float32) -> Tensor:
    """The clips N C T V M of a case."""
    x = torch.tensor(read_arrays(network, f"io_{case}")["x"]).to(dtype)
    if network in PARTS_ONLY:
        whole = x.new_zeros(*x.shape[:3], 25, x.shape[4])
        whole[:, :, :, list(body_parts(get_layout("ntu25")))] = x
        return whole
    if network == "posec3d":
        return x.new_zeros(len(x), 3, x.shape[2], 17, 2)  # its heat maps are given beside it
    return x.permute(0, 4, 2, 3, 1) if network in BODIES_FIRST else x


def golden_given(network: str, case: str, dtype: torch.dtype = torch.float32) -> ModelInput:
    """All that a case shows the network, and its labels."""
    arrays = read_arrays(network, f"io_{case}")
    views = {"absolute": torch.tensor(arrays["joint"]).to(dtype)} if "joint" in arrays else {}
    sidecars = {PHASE: torch.tensor(arrays["index_t"]).to(dtype)} if "index_t" in arrays else {}
    if network == "posec3d":
        sidecars = {HEAT_MAPS: torch.tensor(arrays["x"]).to(dtype)}
    x, labels = golden_input(network, case, dtype), torch.tensor(arrays["labels"])
    return ModelInput(x, views=views, sidecars=sidecars, labels=labels)


def golden_loss(model: SkeletonModel, network: str, case: str) -> Tensor:
    """Mean cross entropy of a case, in the model's own type and mode."""
    dtype = next(model.parameters()).dtype
    given = golden_given(network, case, dtype)
    labels = torch.tensor(read_arrays(network, f"io_{case}")["labels"])
    if isinstance(model, SkeletonAgentModel):  # its kit weighs all three heads
        tokens = model.forward_features(given)
        features = model.pool(tokens)
        constraint = nn.functional.cross_entropy(model.constraint_logits(tokens), labels)
        meaning = model.semantics(features).square().sum()
        logits = model.forward_head(features)
        loss: Tensor = nn.functional.cross_entropy(logits, labels) + 0.2 * constraint
        loss += 0.01 * meaning
        return loss
    logits = model.outputs(given).logits  # with all that training alone needs
    return nn.functional.cross_entropy(logits, labels)


def relative_error(found: Tensor | ndarray, expected: ndarray) -> float:
    """Largest difference over the largest expected magnitude."""
    found = found.detach().numpy() if isinstance(found, Tensor) else np.asarray(found)
    return float(np.abs(found - expected).max() / np.abs(expected).max())
