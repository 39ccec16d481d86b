"""What a recipe needs of clips of one's own: their layout, classes and number."""

from contextlib import suppress
from typing import Final

from skelab.data.clips.opened_clips import OpenedClips
from skelab.data.datasets import find_datasets
from skelab.errors import SkelabError
from skelab.fit.outcome import DataNeeds
from skelab.recipes import Recipe
from skelab.runs.evaluate import dataset_title
from skelab.runs.parts import choose_parts, settle_parts, use_given_split
from skelab.skeleton import list_layouts

_MOST_BODIES: Final = 2  # of an input, unless a recipe says otherwise


def store_needs(recipe: Recipe, store: OpenedClips) -> DataNeeds:
    """The clips of a store that a recipe trains on.

    Args:
        recipe: Where its split does not fit the clips, all of them are taken to train.
        store: The clips, preprocessed.
    """
    info, training = store.info, len(store)
    recipe, _ = use_given_split(recipe, store)
    source = f"{store.path.name}; which of its clips train is not known, so all are counted"
    with suppress(SkelabError):
        parts = choose_parts(settle_parts(recipe, store), store)
        training = len(parts.train)
        source = f"split {recipe.data.split} of {store.path.name}"
    known = any(layout == info.layout for layout in list_layouts())
    return DataNeeds(
        title=dataset_title(info) if find_datasets(info.dataset) else info.title or store.path.name,
        layout=info.layout.name,
        bodies=min(_MOST_BODIES, store.max_bodies),
        classes=len(info.classes),
        training_clips=training,
        clips=len(store),
        disk=store.path.stat().st_size,
        source=source,
        own_layout=None if known else info.layout,
    )
