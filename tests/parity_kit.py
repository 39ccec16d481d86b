"""What a network must reproduce of its authors' code; each check takes a name in ``golden/``.

Gradients and steps are compared in float64: in float32 single ReLU flips move them.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import torch
from golden.golden_weights import digest
from golden_kit import (
    golden_arrays,
    golden_given,
    golden_loss,
    golden_model,
    golden_weights,
    has_json,
    read_arrays,
    read_json,
    relative_error,
)
from torch import Tensor

from skelab.models import create_model, export_weights

LOGITS_LIMIT = {torch.float32: 1e-5, torch.float64: 1e-9}
# The numbers of the newer kits are rounded to ten digits.
STATISTICS_LIMIT, GRADIENTS_LIMIT = 1e-8, 1e-6
SUFFIX = {torch.float32: "f32", torch.float64: "f64"}
# The means of two samples of n values differ by sqrt(2 / n) of their deviation, the deviations by
# less; six times that never happens by chance among a thousand tensors.
STRAY = 6.0
# The largest of 1,000 values tells a uniform from a normal distribution: it lies at 1.7 deviations,
# or at 3 and beyond.
MANY, PEAK = 1_000, 2.2
# Of fewer values than this nothing can be told.
FEW = 4


def check_golden_weights_are_those_that_the_kit_was_made_with(network: str) -> None:
    recorded = read_json(network, "weights_check")

    filled = golden_arrays(network)

    assert {key: digest(array) for key, array in filled.items()} == recorded["digests"]


def check_logits(
    network: str,
    case: str,
    dtype: torch.dtype,
    *,
    limit: float | None = None,
    limits: Mapping[tuple[torch.dtype, str], float] | None = None,
) -> None:
    """``limit`` replaces that of the type, for training mode too; ``limits`` that of a mode.

    What is called ``train`` there counts wherever statistics of the batch do.
    """
    model = golden_model(network, dtype)
    x = golden_given(network, case, dtype)
    expected = read_arrays(network, f"io_{case}")
    modes = (("eval", False), ("train", True), ("eval_after_train_forward", False))

    with torch.no_grad():
        found = {mode: model.train(training)(x) for mode, training in modes}

    for mode, logits in found.items():
        error = relative_error(logits, expected[f"logits_{mode}_{SUFFIX[dtype]}"])
        kind = "eval" if mode == "eval" else "train"
        allowed = (limits or {}).get((dtype, kind), limit or LOGITS_LIMIT[dtype])
        assert error < allowed, f"{mode}: {error}"


def check_statistics_and_gradients(network: str, case: str, *, limit: float | None = None) -> None:
    """``limit`` replaces that of statistics and gradients."""
    model = golden_model(network, torch.float64)
    loss = golden_loss(model, network, case)
    torch.autograd.backward(loss)

    io = read_arrays(network, f"io_{case}")
    assert loss.item() == pytest.approx(float(io["loss_train_f64"]), rel=limit or 1e-9)
    statistics = export_weights(model)
    name = f"bn_after_train_{case}"
    recorded_norms = read_json(network, name) if has_json(network, name) else {}
    for key, recorded in recorded_norms.items():
        if not key.startswith("_"):
            _check_statistic(key, statistics[key], recorded, limit or STATISTICS_LIMIT)
    gradients = _gradients(network, model)
    for key, recorded in read_json(network, f"grads_{case}").items():
        if not key.startswith("_") and not _is_zero_by_construction(recorded):
            _check_gradient(key, gradients[key], recorded, limit or GRADIENTS_LIMIT)


def check_three_steps(network: str, *, learning_rate: float, weight_decay: float) -> None:
    model = golden_model(network, torch.float64)
    optimiser = torch.optim.SGD(
        model.parameters(),
        lr=learning_rate,
        momentum=0.9,
        nesterov=True,
        weight_decay=weight_decay,
    )

    losses = []
    for _ in range(3):
        loss = golden_loss(model, network, "n2_t64")
        optimiser.zero_grad()
        torch.autograd.backward(loss)
        optimiser.step()
        losses.append(loss.item())
    with torch.no_grad():
        losses.append(golden_loss(model, network, "n2_t64").item())
    norm = torch.cat([parameter.detach().flatten() for parameter in model.parameters()]).norm()

    io = read_arrays(network, "io_n2_t64")
    np.testing.assert_allclose(losses, io["sgd_losses_f64"], rtol=1e-6)
    assert norm.item() == pytest.approx(float(io["sgd_weight_norm_f64"]), rel=1e-6)


def check_initialisation(network: str, *, drawn: tuple[str, ...] = (), **options: Any) -> None:
    """``drawn`` are single random numbers, of which nothing can be told."""
    torch.manual_seed(0)
    content = read_json(network, "init_stats")
    recorded = content.get("stats") or _init_stats(content)

    fresh = export_weights(create_model(network, num_classes=60, **options))

    assert list(fresh) == list(recorded)
    for key, tensor in fresh.items():
        expected, values = recorded[key], tensor.double()
        spread = values.std(correction=0).item()
        if key in drawn or (values.numel() < FEW and expected["std"] > 0):
            continue
        stray = STRAY * expected["std"] * np.sqrt(2 / values.numel())
        stray += 1e-8 * abs(expected["mean"])  # the records have ten digits
        assert values.mean().item() == pytest.approx(expected["mean"], abs=stray + 1e-12), key
        assert spread == pytest.approx(expected["std"], abs=stray + 1e-12), key
        if values.numel() >= MANY:
            peaked = expected["max"] > PEAK * expected["std"]
            assert (values.max().item() > PEAK * spread) == peaked, key


def check_key_lists_and_parameters(
    network: str, num_parameters: int, *, layout: str = "ntu25"
) -> None:
    entries = read_json(network, "state_dict")["entries"]

    model = create_model(network, num_classes=60, layout=layout)

    found = [(key, list(tensor.shape)) for key, tensor in export_weights(model).items()]
    assert found == [(entry["name"], entry["shape"]) for entry in entries]
    assert sum(parameter.numel() for parameter in model.parameters()) == num_parameters


def check_round_trip(network: str) -> None:
    theirs = golden_weights(network)

    again = export_weights(golden_model(network))

    assert list(again) == list(theirs)
    for key, tensor in theirs.items():
        assert again[key].dtype == tensor.dtype, key
        assert torch.equal(again[key], tensor), key


def _gradients(network: str, model: torch.nn.Module) -> dict[str, Tensor]:
    """The gradients by the authors' keys: exported as if they were the weights."""
    with torch.no_grad():
        for parameter in model.parameters():
            # what is trained by an auxiliary loss alone has no gradient here, nor in the kits
            if parameter.requires_grad and parameter.grad is not None:
                parameter.copy_(parameter.grad)
    return export_weights(model)


def _init_stats(content: dict[str, Any]) -> dict[str, dict[str, float]]:
    """Mean, deviation, least and largest value by name, as the newer kits list them."""
    names = ("mean", "std", "min", "max")
    return {
        key: dict(zip(names, values, strict=True))
        for key, values in content.items()
        if not key.startswith("_")
    }


def _is_zero_by_construction(recorded: dict[str, Any] | list[Any] | None) -> bool:
    if isinstance(recorded, dict):
        return bool(recorded.get("zero_by_construction"))
    return recorded is None or len(recorded) == 3  # no gradient at all; a third entry, "z"


def _check_statistic(
    key: str, found: Tensor, recorded: dict[str, Any] | list[float] | int, limit: float
) -> None:
    if isinstance(recorded, int):  # the number of batches seen
        assert found.item() == recorded, key
        return
    if isinstance(recorded, list):
        norm, total = recorded
        assert found.norm().item() == pytest.approx(norm, rel=limit), key
        close = pytest.approx(total, rel=limit, abs=limit * norm)
        assert found.sum().item() == close, key
        return
    first = found[:4].tolist()
    assert found.norm().item() == pytest.approx(recorded["norm"], rel=1e-9), key
    assert first == pytest.approx(recorded["first4"], rel=1e-9, abs=1e-12), key


def _check_gradient(
    key: str, found: Tensor, recorded: dict[str, Any] | list[Any], limit: float
) -> None:
    if isinstance(recorded, list):
        norm, expected = recorded
        assert found.norm().item() == pytest.approx(norm, rel=limit), key
        first = found.flatten()[: len(expected)].tolist()
        close = pytest.approx(expected, rel=limit, abs=limit * norm)
        assert first == close, key
        return
    norm = recorded["norm_f64"]
    assert found.norm().item() == pytest.approx(norm, rel=1e-7), key
    first = found.flatten()[:4].tolist()
    assert first == pytest.approx(recorded["first4_f64"], rel=1e-7, abs=1e-7 * norm), key
