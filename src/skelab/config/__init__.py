"""Recipes: load, override, check, save."""

from skelab.config.recipe import (
    DataConfig,
    ModelConfig,
    Protocol,
    Recipe,
    list_recipes,
    load_recipe,
    parse_recipe,
)

__all__ = [
    "DataConfig",
    "ModelConfig",
    "Protocol",
    "Recipe",
    "list_recipes",
    "load_recipe",
    "parse_recipe",
]
