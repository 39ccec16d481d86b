"""Parameter groups of a run: what a family and a recipe say of rate, decay and freezing."""

import re
from collections.abc import Sequence
from typing import Any

from torch import nn

from skelab.errors import TrainingError
from skelab.models import parameter_groups
from skelab.training.config import GroupConfig, TrainingConfig

_SHOWN_NAMES = 6


def training_groups(model: nn.Module, config: TrainingConfig) -> list[dict[str, Any]]:
    """The parameters that are trained, as an optimiser takes them.

    Each group has a ``weight_decay`` and a ``rate_factor``, by which the run's learning rate is
    multiplied. The order is the same for every model of one specification and one recipe, so that
    an optimiser's state can be put back; without ``groups`` in the recipe it is that of the family.

    Raises:
        TrainingError: A pattern is found in no name, or nothing is left to train.
        ModelError: The model was not made by ``create_model``.
    """
    freeze_parameters(model, config.groups)
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    groups = []
    for family in parameter_groups(model, config.weight_decay):
        parts: dict[GroupConfig | None, list[nn.Parameter]] = {None: []}
        parts |= {group: [] for group in config.groups}
        for parameter in family["params"]:
            parts[_group_of(names[id(parameter)], config.groups)].append(parameter)
        for group, parameters in parts.items():
            if parameters:
                decay = family["weight_decay"] * (group.decay if group else 1.0)
                rate = group.rate if group else 1.0
                groups.append({"params": parameters, "weight_decay": decay, "rate_factor": rate})
    if not groups:
        raise TrainingError("training.groups: every parameter is frozen; nothing is left to train")
    return groups


def freeze_parameters(model: nn.Module, groups: Sequence[GroupConfig]) -> None:
    """Let no gradient reach the parameters whose group is frozen.

    Raises:
        TrainingError: A pattern is found in no name.
    """
    names = [name for name, _ in model.named_parameters()]
    for group in groups:
        if not any(re.search(group.pattern, name) for name in names):
            shown = ", ".join(names[:: max(1, len(names) // _SHOWN_NAMES)][:_SHOWN_NAMES])
            raise TrainingError(
                f"training.groups: pattern {group.pattern!r} is found in no parameter's name; the"
                f" network has {shown} and so on"
            )
    for name, parameter in model.named_parameters():
        found = _group_of(name, groups)
        if found is not None and found.frozen:
            parameter.requires_grad_(False)


def _group_of(name: str, groups: Sequence[GroupConfig]) -> GroupConfig | None:
    return next((group for group in groups if re.search(group.pattern, name)), None)
