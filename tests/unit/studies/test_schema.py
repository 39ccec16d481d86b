"""The JSON schema of study plans."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from json_schema import faults

from skelab.studies.schema import plan_schema

PLANS = sorted((Path(__file__).resolve().parents[3] / "studies").glob("*.yaml"))
SCHEMA = plan_schema()


@pytest.mark.parametrize("path", PLANS, ids=lambda path: path.stem)
def test_every_plan_of_the_lab_fits(path: Path) -> None:
    content = yaml.safe_load(path.read_text())

    found = faults(content, SCHEMA, SCHEMA)

    assert found == []


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"recipes": []}, "recipes: [] breaks minItems 1"),
        ({"data": {}}, "data: {} breaks minProperties 1"),
        ({"stream": ["joint"]}, "unknown key stream"),
        ({"streams": ["joints"]}, "streams: 'joints' breaks enum"),
    ],
)
def test_what_a_study_refuses_the_schema_refuses(change: dict[str, Any], fault: str) -> None:
    plan = {"name": "x", "data": {"a": "a.arrow"}, "recipes": ["ctrgcn"]}

    found = faults({**plan, **change}, SCHEMA, SCHEMA)

    assert faults(plan, SCHEMA, SCHEMA) == []
    assert any(each.startswith(fault) for each in found), found
