"""Which parameters decay how much, where a family's authors treat them differently."""

import re
from typing import Any

from torch import nn

from skelab.models.create import model_spec
from skelab.models.registry import decay_factors


def parameter_groups(model: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """The parameters of a model as an optimiser takes them, each group with a decay of its own.

    A family says by ``register_model(..., decay_factors=...)`` which of its parameters decay by a
    multiple of ``weight_decay``; the others come first, in the model's order. What takes no
    gradient is in no group. Groups and orders are the same for every model of one specification,
    so that an optimiser's state can be put back.

    Args:
        model: Made by ``create_model``.
        weight_decay: Decay of a parameter of which the family says nothing.

    Raises:
        ModelError: The model was made in another way.
    """
    factors = decay_factors(model_spec(model).name)
    groups: dict[float, list[nn.Parameter]] = {1.0: []}
    groups |= {factor: [] for factor in factors.values() if factor != 1.0}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            matching = (factor for pattern, factor in factors.items() if re.search(pattern, name))
            groups[next(matching, 1.0)].append(parameter)
    return [
        {"params": parameters, "weight_decay": weight_decay * factor}
        for factor, parameters in groups.items()
        if parameters
    ]
