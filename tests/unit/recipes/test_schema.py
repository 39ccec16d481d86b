"""The JSON schema of recipes: it takes what the lab takes, and refuses what it refuses."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from json_schema import faults

from skelab.recipes import Recipe, list_recipes, recipe
from skelab.recipes.schema import recipe_schema

FOLDER = Path(recipe.__file__).parent
SCHEMA = recipe_schema()


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_shipped_recipe_fits_as_it_stands_in_its_file(path: Path) -> None:
    content = yaml.safe_load(path.read_text())

    found = faults(content, SCHEMA, SCHEMA)

    assert found == []


def test_every_resolved_recipe_fits() -> None:
    for each in list_recipes():
        content = json.loads(json.dumps(each.model_dump(mode="json")))

        assert faults(content, SCHEMA, SCHEMA) == [], each.name


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        ({"name": "x"}, "model is missing"),
        ({"name": "x", "model": {}}, "model: name is missing"),
        ({"name": "x", "model": {"name": "ctrgcn"}, "epochs": 3}, "unknown key epochs"),
        ({"extends": "ctrgcn", "training": {"epoch": 3}}, "training: unknown key epoch"),
        ({"extends": "ctrgcn", "data": {"window": 2}}, "data: window: 2 breaks minimum 4"),
        ({"extends": "ctrgcn", "precision": "fp8"}, "precision: 'fp8' breaks enum"),
    ],
)
def test_what_the_lab_refuses_the_schema_refuses(content: dict[str, Any], fault: str) -> None:
    found = faults(content, SCHEMA, SCHEMA)

    assert any(each.startswith(fault) for each in found), found


def test_every_key_says_what_it_means_and_none_how_python_names_it() -> None:
    sections = [SCHEMA, *SCHEMA["$defs"].values()]

    keys = [(n, key) for each in sections for n, key in each.get("properties", {}).items()]

    assert len(keys) > len(Recipe.model_fields)
    assert not [name for name, key in keys if not key.get("description")]


def test_options_of_a_family_are_offered_beside_its_name() -> None:
    rules = SCHEMA["$defs"]["ModelConfig"]["allOf"]

    options = {each["if"]["properties"]["name"]["const"]: each["then"] for each in rules}

    assert options["ctrgcn"]["properties"]["width"]["default"] == 64
    assert json.dumps(SCHEMA, allow_nan=False)
