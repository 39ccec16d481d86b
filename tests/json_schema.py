"""The part of JSON Schema (draft 2020-12) that the lab's schemas use, as a check of a document."""

from collections.abc import Callable, Iterator, Mapping
from math import isfinite
from re import search
from typing import Any

TYPES: Mapping[str, Callable[[Any], bool]] = {
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
    "string": lambda value: isinstance(value, str),
    "boolean": lambda value: isinstance(value, bool),
    "null": lambda value: value is None,
    "integer": lambda value: is_number(value) and value == int(value),
    "number": lambda value: is_number(value) and isfinite(value),
}

LIMITS: Mapping[str, Callable[[Any, Any], bool]] = {
    "minimum": lambda value, limit: not is_number(value) or value >= limit,
    "maximum": lambda value, limit: not is_number(value) or value <= limit,
    "exclusiveMinimum": lambda value, limit: not is_number(value) or value > limit,
    "exclusiveMaximum": lambda value, limit: not is_number(value) or value < limit,
    "minLength": lambda value, limit: not isinstance(value, str) or len(value) >= limit,
    "maxLength": lambda value, limit: not isinstance(value, str) or len(value) <= limit,
    "minItems": lambda value, limit: not isinstance(value, list) or len(value) >= limit,
    "maxItems": lambda value, limit: not isinstance(value, list) or len(value) <= limit,
    "minProperties": lambda value, limit: not isinstance(value, dict) or len(value) >= limit,
    "pattern": lambda value, form: not isinstance(value, str) or bool(search(form, value)),
    "const": lambda value, wanted: value == wanted,
    "enum": lambda value, known: value in known,
    "type": lambda value, name: TYPES[name](value),
}

WORDS = {"$schema", "$defs", "title", "description", "default", "discriminator"}
"""Keywords that say nothing of whether a document fits."""

APPLIED = {
    *("$ref", "anyOf", "oneOf", "allOf", "if", "then", "else", "required", "properties"),
    *("additionalProperties", "patternProperties", "propertyNames", "items", "prefixItems"),
}


def is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def faults(value: Any, schema: Mapping[str, Any], whole: Mapping[str, Any]) -> list[str]:
    """Where a document does not fit a schema; empty if it does. Unknown keywords are an error."""
    unknown = set(schema) - set(LIMITS) - WORDS - APPLIED
    assert not unknown, f"keywords that this check does not know: {unknown}"
    return list(_faults(value, schema, whole))


def _faults(value: Any, schema: Mapping[str, Any], whole: Mapping[str, Any]) -> Iterator[str]:
    def of(inner: Any, part: Mapping[str, Any]) -> list[str]:
        return faults(inner, part, whole)

    for name, holds in LIMITS.items():
        if name in schema and not holds(value, schema[name]):
            yield f"{value!r:.60} breaks {name} {schema[name]!r:.60}"
    if "$ref" in schema:
        yield from of(value, whole["$defs"][schema["$ref"].rpartition("/")[2]])
    for part in schema.get("allOf", ()):
        yield from of(value, part)
    if "anyOf" in schema and all(of(value, part) for part in schema["anyOf"]):
        yield f"{value!r:.60} fits none of anyOf"
    if "oneOf" in schema and sum(not of(value, part) for part in schema["oneOf"]) != 1:
        yield f"{value!r:.60} does not fit one of oneOf"
    if "if" in schema:
        yield from of(value, schema.get("else" if of(value, schema["if"]) else "then", {}))
    if isinstance(value, dict):
        yield from _faults_of_keys(value, schema, whole)
    if isinstance(value, list):
        first = schema.get("prefixItems", [])
        for place, item in enumerate(value):
            part = first[place] if place < len(first) else schema.get("items", {})
            yield from of(item, part)


def _faults_of_keys(
    value: Mapping[str, Any], schema: Mapping[str, Any], whole: Mapping[str, Any]
) -> Iterator[str]:
    yield from (f"{key} is missing" for key in schema.get("required", ()) if key not in value)
    patterns = schema.get("patternProperties", {})
    for key, inner in value.items():
        yield from faults(key, schema.get("propertyNames", {}), whole)
        parts = [part for form, part in patterns.items() if search(form, key)]
        if key in schema.get("properties", {}):
            parts.append(schema["properties"][key])
        if not parts:
            other = schema.get("additionalProperties", True)
            if other is False:
                yield f"unknown key {key}"
            parts = [other] if isinstance(other, dict) else []
        for part in parts:
            yield from (f"{key}: {fault}" for fault in faults(inner, part, whole))
