"""The cards of the families that come with the lab: facts alone, read without PyTorch.

A module here has ``CARDS``, a tuple of :class:`ModelCard`; the module of the same name in
:mod:`skelab.models.families` builds their networks, and is imported when one is asked for. A card
is found by being here: nothing else lists it.
"""

from importlib import import_module
from pkgutil import iter_modules

from skelab.models.card import ModelCard


def find_cards() -> dict[str, tuple[ModelCard, ...]]:
    """The cards of each module in this folder, by the module's name."""
    names = [module.name for module in iter_modules(__path__) if not module.name.startswith("_")]
    return {name: import_module(f"{__name__}.{name}").CARDS for name in names}
