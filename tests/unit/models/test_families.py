"""A family is a module with its network, and one of the same name with its card."""

from pkgutil import iter_modules

from skelab.models import families, registry
from skelab.models.cards import find_cards


def test_every_family_has_a_card_and_every_card_a_family() -> None:
    networks = {module.name for module in iter_modules(families.__path__)}

    assert set(find_cards()) == networks


def test_every_module_of_the_folder_registers_families_and_nothing_else_does() -> None:
    folder = {module.name for module in iter_modules(families.__path__, f"{families.__name__}.")}

    registered = {family.build.__module__ for family in registry._FAMILIES.values()}

    assert registered == folder
