"""The model families, a module each. Every module in this folder is imported, and registers itself.

A new family needs no other line of code: put its module here.
"""

from importlib import import_module
from pkgutil import iter_modules

for _module in iter_modules(__path__, f"{__name__}."):
    import_module(_module.name)
