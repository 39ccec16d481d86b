"""Recipes: load, override, check, save."""

from skelab.recipes.recipe import (
    DataConfig,
    ModelConfig,
    Protocol,
    Recipe,
    TaskConfig,
    list_recipes,
    load_recipe,
    parse_recipe,
    whole_key,
)

__all__ = [
    "DataConfig",
    "ModelConfig",
    "Protocol",
    "Recipe",
    "TaskConfig",
    "list_recipes",
    "load_recipe",
    "parse_recipe",
    "whole_key",
]
