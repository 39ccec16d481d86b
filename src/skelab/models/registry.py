"""Model families by name: registration, listing and construction."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ParamSpec, TypeVar

from torch import nn

from skelab.errors import ModelError, unknown_name
from skelab.models.authors import AuthorsFormat
from skelab.models.axes import JointAxes
from skelab.models.base import SkeletonModel, set_skip_absent
from skelab.models.card import ModelCard
from skelab.models.options import COMMON_ARGUMENTS, read_options
from skelab.skeleton import Layout, get_layout

Parameters = ParamSpec("Parameters")
Model = TypeVar("Model", bound=nn.Module)


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


@dataclass(frozen=True)
class _Family:
    card: ModelCard
    build: Callable[..., nn.Module]
    authors: AuthorsFormat | None
    decay_factors: Mapping[str, float]
    joint_axes: JointAxes | None


_FAMILIES: dict[str, _Family] = {}


def register_model(
    card: ModelCard,
    *,
    authors: AuthorsFormat | None = None,
    decay_factors: Mapping[str, float] | None = None,
    joint_axes: JointAxes | None = None,
) -> Callable[[Callable[Parameters, Model]], Callable[Parameters, Model]]:
    """Enter a keyword-only builder under ``card.name``.

    The builder takes ``num_classes``, ``layout`` (a ``Layout``), ``in_channels`` and
    ``max_bodies``. Its other keywords are the family's options: they need defaults, and say what
    they do by ``Annotated[int, Option("channels")]``.

    Args:
        card: Where the family comes from, and what it mixes and takes; it lists no options.
        authors: How the authors name its weights, if they can be imported.
        decay_factors: By a pattern that ``re.search`` finds in a parameter's name, how many times
            the recipe's weight decay it gets; the first that is found counts. The others get it
            once.
        joint_axes: Which axes of its weights are joints; without it, weights cannot be moved to
            another layout.

    Raises:
        ModelError: The name is taken, the card lists options, or the builder lacks a common
            keyword or a default.
    """

    def enter(build: Callable[Parameters, Model]) -> Callable[Parameters, Model]:
        if card.name in _FAMILIES:
            title = _FAMILIES[card.name].card.title
            raise ModelError(f"model name {card.name!r} is taken by {title}; choose another")
        if card.options:
            raise ModelError(
                f"card of {card.name!r}: expected no options, which are read off the builder, found"
                f" {', '.join(option.name for option in card.options)}; annotate the builder's"
                " keywords with Annotated[..., Option('what it does')]"
            )
        complete = replace(card, options=read_options(card.name, build))
        factors = dict(decay_factors or {})
        _FAMILIES[card.name] = _Family(complete, build, authors, factors, joint_axes)
        return build

    return enter


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
    family = _family(name)
    counts = {"num_classes": num_classes, "in_channels": in_channels, "max_bodies": max_bodies}
    for argument, count in counts.items():
        _of_kind(f"{name}: {argument}", count, like=1)
        if count < 1:
            raise ModelError(f"{name}: {argument}: expected a whole number from 1, found {count!r}")
    _of_kind(f"{name}: skip_absent", skip_absent, like=True)
    defaults = {option.name: option.default for option in family.card.options}
    for option, value in options.items():
        if option not in defaults:
            known = [*defaults, "skip_absent"]
            raise ModelError(unknown_name(f"option of {name}", option, known))
        options[option] = _of_kind(f"{name}: {option}", value, defaults[option])
    spec = ModelSpec(
        name=name,
        num_classes=num_classes,
        layout=get_layout(layout) if isinstance(layout, str) else layout,
        in_channels=in_channels,
        max_bodies=max_bodies,
        options={**defaults, **options, "skip_absent": skip_absent},
    )
    arguments = {argument: getattr(spec, argument) for argument in COMMON_ARGUMENTS}
    model = family.build(**arguments, **{**defaults, **options})
    if isinstance(model, SkeletonModel):
        # whether it looks ahead is an option; all else the card says
        looks_back, traits = model.traits.causal, family.card.traits
        model.traits = replace(traits, causal=True) if looks_back else traits
    if not skip_absent:
        set_skip_absent(model, False)
    model.skelab_spec = spec  # type: ignore[assignment]  # a plain attribute, no submodule
    return model


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


def list_models() -> tuple[ModelCard, ...]:
    """The cards of all families, by name."""
    return tuple(_FAMILIES[name].card for name in sorted(_FAMILIES))


def get_card(name: str) -> ModelCard:
    """The card of the family ``name``.

    Raises:
        ModelError: There is no such family; the message lists those that there are.
    """
    return _family(name).card


def authors_format(name: str) -> AuthorsFormat:
    """How the authors of the family ``name`` name its weights.

    Raises:
        ModelError: There is no such family, or its authors' weights cannot be converted.
    """
    authors = _family(name).authors
    if authors is None:
        known = sorted(key for key, family in _FAMILIES.items() if family.authors is not None)
        raise ModelError(
            f"{name}: weights of the authors' code cannot be converted for this family;"
            f" they can for: {', '.join(known)}"
        )
    return authors


def decay_factors(name: str) -> Mapping[str, float]:
    """How many times the weight decay the parameters of the family ``name`` get, by pattern.

    Raises:
        ModelError: There is no such family.
    """
    return _family(name).decay_factors


def joint_axes(name: str) -> JointAxes | None:
    """Which axes of the weights of the family ``name`` are joints; None if it does not say.

    Raises:
        ModelError: There is no such family.
    """
    return _family(name).joint_axes


def _family(name: str) -> _Family:
    if name not in _FAMILIES:
        raise ModelError(unknown_name("model", name, _FAMILIES))
    return _FAMILIES[name]


def _of_kind(where: str, value: object, like: object) -> object:
    """The value as the kind of the default, which it must be; builders check ranges."""
    kinds = {bool: "true or false", int: "a whole number", float: "a number", str: "a word"}
    if type(like) is float and type(value) is int:
        return float(value)
    if type(like) in kinds and type(value) is not type(like):
        raise ModelError(f"{where}: expected {kinds[type(like)]}, found {value!r}")
    return value
