"""Model families by name: their cards, and what their modules register.

The cards of the families that come with the lab are known from the start. The module that builds
their networks, and PyTorch with it, is imported when something beyond the card is asked for.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final, ParamSpec, TypeVar

from skelab.errors import ModelError, unknown_name
from skelab.models.authors import AuthorsFormat
from skelab.models.axes import JointAxes
from skelab.models.card import ModelCard
from skelab.models.cards import find_cards
from skelab.models.options import check_options, read_options

if TYPE_CHECKING:
    from torch import nn

Parameters = ParamSpec("Parameters")
Model = TypeVar("Model", bound="nn.Module")

_BUILDERS: Final = "skelab.models.families"


@dataclass(frozen=True)
class _Network:
    """What ``register_model`` is told of a family."""

    build: Callable[..., Any]
    authors: AuthorsFormat | None
    decay_factors: Mapping[str, float]
    joint_axes: JointAxes | None


@dataclass
class _Family:
    """A family, whose network is entered when its module is imported."""

    card: ModelCard
    module: str = ""
    entered: _Network | None = field(default=None, repr=False)

    @property
    def network(self) -> _Network:
        """What was registered; imports the module that does it."""
        if self.entered is None:
            import_module(self.module)
        if self.entered is None:
            raise ModelError(
                f"{self.module}: expected @register_model with the card of {self.card.name!r},"
                " found none"
            )
        return self.entered

    @property
    def build(self) -> Callable[..., Any]:
        """The builder of its networks."""
        return self.network.build


_LAB: Final = {
    card.name: _Family(card, f"{_BUILDERS}.{module}")
    for module, cards in find_cards().items()
    for card in cards
}
_FAMILIES: dict[str, _Family] = dict(_LAB)


def register_model(
    card: ModelCard,
    *,
    authors: AuthorsFormat | None = None,
    decay_factors: Mapping[str, float] | None = None,
    joint_axes: JointAxes | None = None,
) -> Callable[[Callable[Parameters, Model]], Callable[Parameters, Model]]:
    """Enter a keyword-only builder under ``card.name``.

    The builder takes ``num_classes``, ``layout`` (a ``Layout``), ``in_channels`` and
    ``max_bodies``. Its other keywords are the family's options. Either the card lists them with
    their defaults, or the builder has the defaults and says what they do by
    ``Annotated[int, Option("channels")]``.

    Args:
        card: Where the family comes from, and what it mixes and takes.
        authors: How the authors name its weights, if they can be imported.
        decay_factors: By a pattern that ``re.search`` finds in a parameter's name, how many times
            the recipe's weight decay it gets; the first that is found counts. The others get it
            once.
        joint_axes: Which axes of its weights are joints; without it, weights cannot be moved to
            another layout.

    Raises:
        ModelError: The name is taken, the card lists other options than the builder takes, or the
            builder lacks a common keyword or a default.
    """

    def enter(build: Callable[Parameters, Model]) -> Callable[Parameters, Model]:
        network = _Network(build, authors, dict(decay_factors or {}), joint_axes)
        ours = _LAB.get(card.name)
        if ours is not None and ours.card is card and ours.entered is None:
            check_options(card.name, build, card.options)
            ours.entered = network
        elif card.name in _FAMILIES:
            title = _FAMILIES[card.name].card.title
            raise ModelError(f"model name {card.name!r} is taken by {title}; choose another")
        elif card.options:
            check_options(card.name, build, card.options)
            _FAMILIES[card.name] = _Family(card, entered=network)
        else:
            complete = replace(card, options=read_options(card.name, build))
            _FAMILIES[card.name] = _Family(complete, entered=network)
        return build

    return enter


def list_models() -> tuple[ModelCard, ...]:
    """The cards of all families, by name."""
    return tuple(_FAMILIES[name].card for name in sorted(_FAMILIES))


def get_card(name: str) -> ModelCard:
    """The card of the family ``name``.

    Raises:
        ModelError: There is no such family; the message lists those that there are.
    """
    return _family(name).card


def builder(name: str) -> Callable[..., Any]:
    """What makes a network of the family ``name``: common keywords and options to a module.

    Raises:
        ModelError: There is no such family.
    """
    return _family(name).build


def authors_format(name: str) -> AuthorsFormat:
    """How the authors of the family ``name`` name its weights.

    Raises:
        ModelError: There is no such family, or its authors' weights cannot be converted.
    """
    authors = _family(name).network.authors
    if authors is None:
        known = sorted(key for key, family in _FAMILIES.items() if family.network.authors)
        raise ModelError(
            f"{name}: weights of the authors' code cannot be converted for this family;"
            f" they can for: {', '.join(known)}"
        )
    return authors


def has_authors_format(name: str) -> bool:
    """Whether weights of the authors of the family ``name`` can be converted.

    Raises:
        ModelError: There is no such family.
    """
    return _family(name).network.authors is not None


def decay_factors(name: str) -> Mapping[str, float]:
    """How many times the weight decay the parameters of the family ``name`` get, by pattern.

    Raises:
        ModelError: There is no such family.
    """
    return _family(name).network.decay_factors


def joint_axes(name: str) -> JointAxes | None:
    """Which axes of the weights of the family ``name`` are joints; None if it does not say.

    Raises:
        ModelError: There is no such family.
    """
    return _family(name).network.joint_axes


def _family(name: str) -> _Family:
    if name not in _FAMILIES:
        raise ModelError(unknown_name("model", name, _FAMILIES))
    return _FAMILIES[name]
