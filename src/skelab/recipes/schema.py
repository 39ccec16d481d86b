"""The JSON schema of recipes, with which an editor completes and checks their YAML."""

import inspect
import re
from collections.abc import Iterable, Iterator, Mapping
from math import inf
from typing import Any, Final

from pydantic import BaseModel

from skelab.data.datasets import list_splits
from skelab.data.feeding.transforms.settings import TRANSFORM_SETTINGS
from skelab.models import ModelCard, list_models
from skelab.recipes.recipe import Recipe, list_recipes

DRAFT: Final = "https://json-schema.org/draft/2020-12/schema"

_ATTRIBUTE: Final = re.compile(r"^ {4}(?P<name>\w+): (?P<text>.+(?:\n {8}.+)*)", re.MULTILINE)


def recipe_schema() -> dict[str, Any]:
    """The JSON schema of a recipe, draft 2020-12: keys, ranges, defaults and what each means.

    What one key says of another is checked by ``load_recipe`` alone.
    """
    schema = described_schema(Recipe)
    sections = schema["$defs"]
    sections["DataConfig"]["properties"]["split"].update(
        open_choice(split.name for split in list_splits())
    )
    listed = sections["DataConfig"]["properties"]["transforms"]
    listed["items"] = {"anyOf": [{"enum": list(TRANSFORM_SETTINGS)}, listed["items"]]}
    cards = list_models()
    model = sections["ModelConfig"]
    model["properties"]["name"].update(open_choice(card.name for card in cards))
    model["allOf"] = [_options(card) for card in cards if card.options]
    _allow_to_extend(schema, model)
    return {"$schema": DRAFT, "title": "skelab recipe", **_without_title(schema)}


def described_schema(model: type[BaseModel]) -> dict[str, Any]:
    """Pydantic's schema of a model, each key with its text in the docstring of its class."""
    schema = model.model_json_schema()
    for kind in _models_below(model):
        texts: dict[str, str] = {"name": "its name"}
        for above in reversed(kind.__mro__):
            texts |= _attributes(inspect.cleandoc(above.__doc__ or ""))
        entry = schema if kind is model else schema["$defs"].get(kind.__name__, {})
        for name, content in entry.get("properties", {}).items():
            content.pop("title", None)
            if name in texts:
                content["description"] = texts[name]
    for entry in (schema, *schema.get("$defs", {}).values()):
        if "description" in entry:
            entry["description"] = entry["description"].split("\n")[0]
    return schema


def open_choice(names: Iterable[str]) -> dict[str, Any]:
    """A text that may be any; an editor offers these names."""
    return {"anyOf": [{"enum": list(names)}, {"type": "string"}]}


def _allow_to_extend(schema: dict[str, Any], model: dict[str, Any]) -> None:
    """A recipe that extends another may leave out what that one has."""
    known = [recipe.name for recipe in list_recipes()]
    schema["properties"]["extends"] = {
        "description": "a recipe by name or file, whose keys hold where this one gives none",
        **open_choice(known),
    }
    schema["if"] = {"required": ["extends"]}
    schema["else"] = {
        "required": schema.pop("required"),
        "properties": {"model": {"required": model.pop("required")}},
    }


def _options(card: ModelCard) -> dict[str, Any]:
    """What may stand beside the name of a family."""
    options: dict[str, dict[str, Any]] = {}
    for option in card.options:
        options[option.name] = {"description": option.meaning}
        if option.default not in (inf, -inf):  # JSON has no infinity
            options[option.name]["default"] = option.default
    return {
        "if": {"properties": {"name": {"const": card.name}}, "required": ["name"]},
        "then": {"properties": options},
    }


def _models_below(model: type[BaseModel]) -> Iterator[type[BaseModel]]:
    """A model and all that its fields hold, each once."""
    waiting, seen = [model], {model}
    while waiting:
        kind = waiting.pop()
        yield kind
        for field in kind.model_fields.values():
            found = {each for each in _models_in(field.annotation) if each not in seen}
            seen |= found
            waiting += sorted(found, key=lambda each: each.__name__)


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if inspect.isclass(annotation) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in getattr(annotation, "__args__", ()):
        yield from _models_in(inner)


def _attributes(docstring: str) -> dict[str, str]:
    """The entries of section ``Attributes`` of a docstring, each in one line without markup."""
    _, _, section = docstring.partition("Attributes:\n")
    return {
        found["name"]: " ".join(found["text"].split()).replace("``", "`")
        for found in _ATTRIBUTE.finditer(section)
    }


def _without_title(schema: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in schema.items() if key != "title"}
