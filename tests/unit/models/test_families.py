"""A family is one module: whatever lies in the folder is imported and registers itself."""

from pkgutil import iter_modules

from skelab.models import families, registry


def test_every_module_of_the_folder_registers_families_and_nothing_else_does() -> None:
    folder = {module.name for module in iter_modules(families.__path__, f"{families.__name__}.")}

    registered = {family.build.__module__ for family in registry._FAMILIES.values()}

    assert registered == folder
