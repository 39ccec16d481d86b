"""What a recipe asks for."""

from pathlib import Path

import pytest
from fit_kit import small_recipe

from skelab.errors import ModelError, RecipeError
from skelab.fit.demand import data_needs, read_recipe
from skelab.models import list_models
from skelab.recipes import list_recipes, load_recipe


def test_every_family_and_every_recipe_can_be_asked_about() -> None:
    names = {card.name for card in list_models()} | {recipe.name for recipe in list_recipes()}

    for name in names:
        recipe = read_recipe(name)
        on_sequences = recipe.task.name in ("next-action", "detection")  # windows, of no set count
        needs = data_needs(recipe, 500 if on_sequences else None)
        assert needs.training_clips > 0
        assert needs.disk > 0


@pytest.mark.parametrize(
    ("recipe", "layout", "classes", "clips"),
    [
        ("ctrgcn", "ntu25", 60, 40_091),
        ("ctrgcn-ntu120", "ntu25", 120, 63_026),
        ("ctrgcn-utd", "utd20", 27, 431),
        ("ctrgcn-ucla", "kinect20", 10, 1_020),
        ("msg3d-sbu", "sbu15", 8, 227),
    ],
)
def test_the_split_tells_the_data_set(recipe: str, layout: str, classes: int, clips: int) -> None:
    needs = data_needs(load_recipe(recipe))

    assert (needs.layout, needs.classes, needs.training_clips) == (layout, classes, clips)


def test_the_number_of_clips_can_be_given() -> None:
    needs = data_needs(small_recipe(), clips=1_000)

    assert (needs.training_clips, needs.clips, needs.title) == (1_000, 1_000, "clips of your own")
    assert needs.disk == 30_800_000


def test_sequences_are_no_clips_to_train_on() -> None:
    with pytest.raises(RecipeError, match="found 'pku-xsub'; --clips N says how many"):
        data_needs(small_recipe(data={"split": "pku-xsub"}))


def test_a_split_of_no_known_data_set_asks_for_the_number_of_clips() -> None:
    recipe = small_recipe(data={"split": "subject:1,2/3"})

    with pytest.raises(RecipeError, match=r"found 'subject:1,2/3'; --clips N says how many"):
        data_needs(recipe)
    assert data_needs(recipe, clips=10).training_clips == 10


def test_a_family_without_a_recipe_gets_a_plain_one_and_a_file_is_read(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("extends: ctrgcn\nname: mine\ntraining: {epochs: 3}\n")

    assert read_recipe(str(file)).training.epochs == 3


def test_unknown_names_are_refused_with_the_nearest(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("name: mine\nmodel: {name: ctrgnc}\n")

    with pytest.raises(ModelError, match="unknown model or recipe 'ctrgnc', did you mean 'ctrgcn'"):
        read_recipe("ctrgnc")
    with pytest.raises(ModelError, match=r"mine\.yaml: unknown model 'ctrgnc', did you mean"):
        read_recipe(str(file))
    with pytest.raises(RecipeError, match="the recipe cannot be read"):
        read_recipe("none.yaml")
