"""Parameter groups of a training: factors of learning rate and weight decay, and freezing."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from skelab.errors import TrainingError
from skelab.models import parameter_groups
from skelab.training.config import GroupConfig, TrainingConfig, TransferConfig

_SHOWN: Final = 6  # names in a message
_BACKBONE: Final = re.compile(r"^backbone\.([^.]+)\.")
_NO_TRANSFER: Final = TransferConfig()


@dataclass(frozen=True)
class Treatment:
    """How a parameter is trained.

    Attributes:
        rate: Factor of the learning rate.
        decay: Factor of the weight decay, on top of that of the family.
        frozen: No gradient, no step, no decay.
    """

    rate: float = 1.0
    decay: float = 1.0
    frozen: bool = False


def parameter_treatments(
    names: Sequence[str],
    groups: Sequence[GroupConfig] = (),
    transfer: TransferConfig = _NO_TRANSFER,
) -> dict[str, Treatment]:
    """The treatment of each parameter by a recipe, by name.

    Args:
        names: Parameter names of a network, in order.
        groups: ``training.groups``; the first pattern that matches a name applies.
        transfer: Freezing, and the rates of blocks.

    Raises:
        TrainingError: A pattern matches no name, or nothing is left to train.
    """
    _check_patterns(names, groups, transfer)
    depths = _depths(names)
    treatments = {}
    for name in names:
        group = next((group for group in groups if re.search(group.pattern, name)), None)
        frozen = any(re.search(pattern, name) for pattern in transfer.freeze)
        treatments[name] = Treatment(
            rate=transfer.depth_decay ** depths[name] * (group.rate if group else 1.0),
            decay=group.decay if group else 1.0,
            frozen=frozen or bool(group and group.frozen),
        )
    if all(treatment.frozen for treatment in treatments.values()):
        who = f"--freeze {' '.join(transfer.freeze)}" if transfer.freeze else "training.groups"
        raise TrainingError(
            f"{who}: every parameter is frozen, nothing is left to train; leave the head out, say"
            " --freeze backbone"
        )
    return treatments


def training_groups(
    model: nn.Module, config: TrainingConfig, transfer: TransferConfig = _NO_TRANSFER
) -> list[dict[str, Any]]:
    """The optimiser's groups of trained parameters; all others are frozen.

    Each group has a ``weight_decay`` and a ``rate_factor`` that multiplies the learning rate. The
    order is deterministic for a specification and a recipe, so that an optimiser's state can be
    restored; where all parameters are trained alike it is that of the family.

    Raises:
        TrainingError: A pattern matches no name, or nothing is left to train.
        ModelError: The model was not made by ``create_model``.
    """
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    treatments = parameter_treatments(list(names.values()), config.groups, transfer)
    _freeze(model, treatments)
    groups = []
    for family in parameter_groups(model, config.weight_decay):
        parts: dict[Treatment, list[nn.Parameter]] = {Treatment(): []}
        for parameter in family["params"]:
            parts.setdefault(treatments[names[id(parameter)]], []).append(parameter)
        groups += [
            {
                "params": parameters,
                "weight_decay": family["weight_decay"] * treatment.decay,
                "rate_factor": treatment.rate,
            }
            for treatment, parameters in parts.items()
            if parameters
        ]
    return groups


def set_training_mode(model: nn.Module) -> None:
    """Set a network to training mode, except its frozen batch norms."""
    model.train()
    for name in frozen_norms(model):
        model.get_submodule(name).eval()


def frozen_norms(model: nn.Module) -> tuple[str, ...]:
    """The names of batch norms whose parameters are all frozen; they keep their statistics."""
    found = []
    for name, module in model.named_modules():
        if isinstance(module, _BatchNorm):
            own = list(module.parameters(recurse=False))
            if own and not any(parameter.requires_grad for parameter in own):
                found.append(name)
    return tuple(found)


def _freeze(model: nn.Module, treatments: Mapping[str, Treatment]) -> None:
    for name, parameter in model.named_parameters():
        if treatments[name].frozen:
            parameter.requires_grad_(False)


def _check_patterns(
    names: Sequence[str], groups: Sequence[GroupConfig], transfer: TransferConfig
) -> None:
    patterns = [(f"training.groups, pattern {group.pattern!r}", group.pattern) for group in groups]
    patterns += [(f"--freeze {pattern}", pattern) for pattern in transfer.freeze]
    for said, pattern in patterns:
        if not any(re.search(pattern, name) for name in names):
            some = list(dict.fromkeys(".".join(name.split(".")[:3]) for name in names))
            shown = [some[i * (len(some) - 1) // (_SHOWN - 1)] for i in range(_SHOWN)]
            raise TrainingError(
                f"{said}: matches no parameter name; names of the network begin with, say,"
                f" {', '.join(dict.fromkeys(shown))}"
            )


def _depths(names: Sequence[str]) -> dict[str, int]:
    """The depth of each parameter below the head, in blocks.

    The children of the backbone are the blocks, in order; modules before the backbone form another
    block, and those after it the head. Without a backbone every child of the network is a block and
    the last one the head.
    """
    blocks = list(dict.fromkeys(match[1] for match in map(_BACKBONE.match, names) if match))
    if not blocks:
        children = list(dict.fromkeys(name.split(".")[0] for name in names))
        return {name: len(children) - 1 - children.index(name.split(".")[0]) for name in names}
    depths: dict[str, int] = {}
    below = len(blocks) + 1
    for name in names:
        match = _BACKBONE.match(name)
        below = len(blocks) - blocks.index(match[1]) if match else below
        if not match and below <= len(blocks):
            below = 0
        depths[name] = below
    return depths
