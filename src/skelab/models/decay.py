"""Parameter groups for weight decay."""

import re
from typing import Any

from torch import nn

from skelab.models.create import model_spec
from skelab.models.registry import decay_factors


def parameter_groups(model: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """The optimiser's parameter groups of a model, each with its weight decay.

    A family sets multiples of ``weight_decay`` for some parameters by ``register_model(...,
    decay_factors=...)``; all others come first, in the model's order. Parameters without gradient
    are left out. Groups and order are deterministic for a specification, so that an optimiser's
    state can be restored.

    Args:
        model: A result of ``create_model``.
        weight_decay: Weight decay of all other parameters.

    Raises:
        ModelError: The model was not made by ``create_model``.
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
