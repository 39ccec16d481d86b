"""Networks by the name of their family, and what a network was made with."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

import torch
from torch import nn

from skelab.errors import ModelError, unknown_name
from skelab.host.memory import physical_memory
from skelab.models.base import SkeletonModel, set_skip_absent
from skelab.models.options import COMMON_ARGUMENTS
from skelab.models.registry import builder, get_card
from skelab.skeleton import Layout, get_layout

_LARGEST: Final = 1 << 20
_LARGE: Final = 1 << 10
_BYTES: Final = 4  # of a float32


@dataclass(frozen=True)
class ModelSpec:
    """What a model was made with; ``create_model`` with the same gives the same network.

    Attributes:
        name: The family.
        num_classes: K.
        layout: The skeleton layout, V joints.
        in_channels: C.
        max_bodies: M.
        options: What the family takes beyond that, and ``skip_absent``; defaults are filled in.
    """

    name: str
    num_classes: int
    layout: Layout
    in_channels: int
    max_bodies: int
    options: Mapping[str, Any] = field(default_factory=dict)


def create_model(
    name: str,
    *,
    num_classes: int,
    layout: str | Layout = "ntu25",
    in_channels: int = 3,
    max_bodies: int = 2,
    skip_absent: bool = True,
    **options: object,
) -> nn.Module:
    """A new network of the family ``name``, its weights drawn from torch's global generator.

    Args:
        name: One of ``list_models()``.
        num_classes: K.
        layout: The skeleton layout or its name; gives V joints and the bones between them.
        in_channels: C, the channels of a joint.
        max_bodies: M, the bodies of a clip.
        skip_absent: Spare bodies that are all zeros; the results are the same within rounding.
        **options: What the family's card lists.

    Returns:
        A module with ``forward(x: N C T V M) -> logits N K``; a ``SkeletonModel`` for the families
        that come with the lab.

    Raises:
        ModelError: There is no such family or option, or a value is out of range.
        LayoutError: There is no such layout.
    """
    spec = specify_model(
        name,
        num_classes=num_classes,
        layout=layout,
        in_channels=in_channels,
        max_bodies=max_bodies,
        skip_absent=skip_absent,
        **options,
    )
    arguments = {argument: getattr(spec, argument) for argument in COMMON_ARGUMENTS}
    own = {option: value for option, value in spec.options.items() if option != "skip_absent"}
    build = partial(builder(name), **arguments, **own)
    _check_size(spec, build)
    model: nn.Module = build()
    if isinstance(model, SkeletonModel):
        model.traits = get_card(name).traits_with(spec.options)
    if not skip_absent:
        set_skip_absent(model, False)
    model.skelab_spec = spec  # type: ignore[assignment]  # a plain attribute, no submodule
    return model


def _check_size(spec: ModelSpec, build: Callable[[], nn.Module]) -> None:
    """Refuse a network that is larger than this machine's memory, before it takes any.

    Only networks with an unusually large number among their options are built for that, on
    PyTorch's device without memory.
    """
    large = {
        option: value
        for option, value in spec.options.items()
        if type(value) is int and value > _LARGE
    }
    if not large:
        return
    state = torch.get_rng_state()
    try:
        with torch.device("meta"):
            parameters = sum(parameter.numel() for parameter in build().parameters())
    except (RuntimeError, NotImplementedError):
        return  # the builder of a user's own family, which needs a real device
    finally:
        torch.set_rng_state(state)
    if parameters * _BYTES > physical_memory():
        written = ", ".join(f"{option} {value:,}" for option, value in large.items())
        raise ModelError(
            f"{spec.name}: expected a network that fits into {physical_memory() / 1e9:.0f} GB of"
            f" memory, found one of {parameters * _BYTES / 1e9:,.0f} GB; lower {written}"
        )


def specify_model(
    name: str,
    *,
    num_classes: int,
    layout: str | Layout = "ntu25",
    in_channels: int = 3,
    max_bodies: int = 2,
    skip_absent: bool = True,
    **options: object,
) -> ModelSpec:
    """What ``create_model`` would make with the same arguments: every option with its value.

    Raises:
        ModelError: There is no such family or option, or a value is of another kind.
        LayoutError: There is no such layout.
    """
    card = get_card(name)
    counts = {"num_classes": num_classes, "in_channels": in_channels, "max_bodies": max_bodies}
    for argument, count in counts.items():
        _of_kind(f"{name}: {argument}", count, like=1)
        if count < 1:
            raise ModelError(f"{name}: {argument}: expected a whole number from 1, found {count!r}")
    _of_kind(f"{name}: skip_absent", skip_absent, like=True)
    defaults = {option.name: option.default for option in card.options}
    for option, value in options.items():
        if option not in defaults:
            known = [*defaults, "skip_absent"]
            raise ModelError(unknown_name(f"option of {name}", option, known))
        options[option] = _of_kind(f"{name}: {option}", value, defaults[option])
    return ModelSpec(
        name=name,
        num_classes=num_classes,
        layout=get_layout(layout) if isinstance(layout, str) else layout,
        in_channels=in_channels,
        max_bodies=max_bodies,
        options={**defaults, **options, "skip_absent": skip_absent},
    )


def model_spec(model: nn.Module) -> ModelSpec:
    """What ``create_model`` made this model with.

    Raises:
        ModelError: The model was made in another way.
    """
    spec = getattr(model, "skelab_spec", None)
    if not isinstance(spec, ModelSpec):
        raise ModelError(
            f"{type(model).__name__}: expected a model made by create_model,"
            " found one made in another way"
        )
    return spec


def _of_kind(where: str, value: object, like: object) -> object:
    """The value as the kind of the default, which it must be; builders check ranges."""
    kinds = {bool: "true or false", int: "a whole number", float: "a number", str: "a word"}
    if type(value) is int and abs(value) > _LARGEST:
        raise ModelError(
            f"{where}: expected a whole number up to {_LARGEST:,}, found one of"
            f" {value.bit_length()} bits"
        )
    if type(like) is float and type(value) is int:
        return float(value)
    if type(like) in kinds and type(value) is not type(like):
        raise ModelError(f"{where}: expected {kinds[type(like)]}, found {value!r}")
    return value
