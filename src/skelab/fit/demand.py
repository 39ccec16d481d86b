"""What a recipe needs: its network, its training clips, and their size."""

from dataclasses import replace
from pathlib import Path
from typing import Final

from skelab.data.datasets import list_datasets
from skelab.errors import ModelError, RecipeError, unknown_name
from skelab.fit.outcome import DataNeeds
from skelab.models import list_models
from skelab.recipes import Recipe, list_recipes, load_recipe
from skelab.skeleton import get_layout

BYTES_PER_CLIP: Final = 30_800
"""Bytes per clip of a store like that of NTU RGB+D (1.75 GB for 56,880 clips, docs/results.md)."""

_NTU_JOINTS: Final = 25


def read_recipe(asked: str) -> Recipe:
    """Load the recipe of a family name, a recipe name or a recipe file.

    Raises:
        ModelError: It is none of these; the message names the nearest.
        RecipeError: The file is no recipe.
    """
    families = [card.name for card in list_models()]
    recipes = [recipe.name for recipe in list_recipes()]
    is_file = asked.endswith((".yaml", ".yml")) or Path(asked).is_file()
    if is_file or asked in recipes:
        recipe = load_recipe(asked)
        if recipe.model.name not in families:
            raise ModelError(f"{asked}: {unknown_name('model', recipe.model.name, families)}")
        return recipe
    if asked not in families:
        raise ModelError(unknown_name("model or recipe", asked, {*families, *recipes}))
    return Recipe.model_validate({"name": asked, "model": {"name": asked}})


def data_needs(recipe: Recipe, clips: int | None = None) -> DataNeeds:
    """The clips that a recipe trains on.

    Args:
        recipe: Its split determines the data set.
        clips: Number of training clips; that of the published split by default.

    Raises:
        RecipeError: The split belongs to no known data set, and ``clips`` is not given.
    """
    split = recipe.data.split
    needs = _published(split, of_120="120" in recipe.name)
    if needs is None and clips is None:
        raise RecipeError(
            f"{recipe.name}: expected the split of a published data set, found {split!r}; --clips N"
            " says how many clips train"
        )
    if clips is not None:
        own = DataNeeds("clips of your own", "ntu25", 2, 60, clips, clips, 0, "--clips")
        kind = needs or own
        needs = replace(own, layout=kind.layout, bodies=kind.bodies, classes=kind.classes)
    if needs is None:  # unreachable: one of the two is given
        raise RecipeError(f"{recipe.name}: no clips")
    disk = needs.clips * BYTES_PER_CLIP * get_layout(needs.layout).num_joints // _NTU_JOINTS
    return replace(needs, disk=disk)


def _published(split: str, *, of_120: bool) -> DataNeeds | None:
    """The data set of a split; the smallest if several share it, unless 120 is requested."""
    cards = sorted(
        (card for card in list_datasets() if split in card.counts and not card.untrimmed),
        key=lambda card: card.clips,
        reverse=of_120,
    )
    if not cards:
        return None
    card, training = cards[0], cards[0].counts[split][0]
    source = f"{split} of {card.title}"
    if card.missing:
        source += f", {card.missing} missing samples left out"
    return DataNeeds(
        card.title, card.layout, card.bodies, len(card.classes), training, card.clips, 0, source
    )
