"""How each parameter of a network trains: at which share of the rate, or not at all."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from skelab.errors import TrainingError
from skelab.training.config import TransferConfig

_SHOWN: Final = 6  # names that a message gives
_BACKBONE: Final = re.compile(r"^backbone\.([^.]+)\.")


@dataclass(frozen=True)
class Treatment:
    """How a parameter trains.

    Attributes:
        rate: Factor on the learning rate.
        frozen: It stays as it is: no gradient, no step, no decay.
    """

    rate: float = 1.0
    frozen: bool = False


def parameter_treatments(names: Sequence[str], config: TransferConfig) -> dict[str, Treatment]:
    """What the settings say of each parameter.

    Args:
        names: The parameters of a network, in its order.
        config: The settings.

    Raises:
        TrainingError: A pattern is in no name, or nothing is left to train.
    """
    for pattern in config.freeze:
        if not any(re.search(pattern, name) for name in names):
            some = list(dict.fromkeys(".".join(name.split(".")[:3]) for name in names))
            shown = [some[i * (len(some) - 1) // (_SHOWN - 1)] for i in range(_SHOWN)]
            raise TrainingError(
                f"--freeze {pattern}: no parameter of the network has that in its name; names begin"
                f" with, say, {', '.join(dict.fromkeys(shown))}"
            )
    depths = _depths(names)
    treatments = {
        name: Treatment(
            rate=config.depth_decay ** depths[name],
            frozen=any(re.search(pattern, name) for pattern in config.freeze),
        )
        for name in names
    }
    if all(treatment.frozen for treatment in treatments.values()):
        raise TrainingError(
            f"--freeze {' '.join(config.freeze)}: nothing would be left to train;"
            " leave the head out, say --freeze backbone"
        )
    return treatments


def freeze_parameters(model: nn.Module, treatments: Mapping[str, Treatment]) -> None:
    """Let frozen parameters take no gradients."""
    for name, parameter in model.named_parameters():
        if treatments[name].frozen:
            parameter.requires_grad_(False)


def hold_frozen_norms(model: nn.Module, treatments: Mapping[str, Treatment]) -> None:
    """Put batch norms whose parameters are all frozen into eval mode, wherever the model is.

    They then normalise by their running statistics, which stay as they are. To be called whenever
    the model was put into training mode.
    """
    for name, module in model.named_modules():
        if isinstance(module, _BatchNorm) and _is_frozen(name, module, treatments):
            module.eval()


def frozen_norms(model: nn.Module, treatments: Mapping[str, Treatment]) -> list[str]:
    """The names of the batch norms that stay in eval mode."""
    return [
        name
        for name, module in model.named_modules()
        if isinstance(module, _BatchNorm) and _is_frozen(name, module, treatments)
    ]


def split_by_rate(
    groups: Sequence[Mapping[str, Any]], model: nn.Module, treatments: Mapping[str, Treatment]
) -> list[dict[str, Any]]:
    """Part an optimiser's groups by the rates of their parameters.

    A group with another rate than the whole says so under ``rate_factor``. Where all have one
    rate, the groups stay as they are.
    """
    rates = {id(value): treatments[name].rate for name, value in model.named_parameters()}
    parted: list[dict[str, Any]] = []
    for group in groups:
        by_rate: dict[float, list[nn.Parameter]] = {}
        for parameter in group["params"]:
            by_rate.setdefault(rates[id(parameter)], []).append(parameter)
        for rate, parameters in by_rate.items():
            factor = {} if rate == 1.0 else {"rate_factor": rate}
            parted.append({**group, "params": parameters, **factor})
    return parted


def _is_frozen(name: str, norm: nn.Module, treatments: Mapping[str, Treatment]) -> bool:
    own = [f"{name}.{key}" if name else key for key, _ in norm.named_parameters(recurse=False)]
    return bool(own) and all(treatments[key].frozen for key in own)


def _depths(names: Sequence[str]) -> dict[str, int]:
    """How many steps each parameter lies below the head.

    The children of the backbone are its blocks, in their order; what stands before them is a block
    more, what stands behind them is the head. Without a backbone, each child of the network is a
    block and the last one the head.
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
