"""The JSON schema of study plans, with which an editor completes and checks their YAML."""

from typing import Any

from skelab.data.datasets import list_splits
from skelab.recipes import list_recipes
from skelab.recipes.schema import DRAFT, described_schema, open_choice
from skelab.studies.plan import StudyPlan


def plan_schema() -> dict[str, Any]:
    """The JSON schema of a study plan, draft 2020-12.

    What one key says of another is checked by ``load_plan`` alone.
    """
    schema = described_schema(StudyPlan)
    keys = schema["properties"]
    splits = open_choice(split.name for split in list_splits())
    keys["splits"]["items"] = splits
    schema["$defs"]["PlanData"]["properties"]["splits"]["items"] = splits
    keys["recipes"]["items"] = open_choice(recipe.name for recipe in list_recipes())
    data = keys["data"]
    path = {"type": "string", "minLength": 1, "description": "where the clips are"}
    for pattern, entry in data["patternProperties"].items():
        data["patternProperties"][pattern] = {"anyOf": [path, entry]}
    return {"$schema": DRAFT, **schema, "title": "skelab study plan"}
