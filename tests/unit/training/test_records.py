"""Records and environment of a run, as somebody else may have written them."""

import json
from pathlib import Path
from typing import Any

import pytest

from skelab.errors import TrainingError
from skelab.training.records import read_environment, read_history


def test_records_of_a_run_come_back(tmp_path: Path) -> None:
    record = {"epoch": 0, "train_loss": 1.5, "peak_memory_bytes": 2**40}
    (tmp_path / "metrics.jsonl").write_text(json.dumps(record) + "\n")

    assert read_history(tmp_path) == [record]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"epoch": None}, "epoch.*: expected a valid"),
        ({"epoch": -1}, "expected the number of an epoch, from 0"),
        ({"epoch": 10**9}, "expected the number of an epoch, from 0"),
        ({"train_loss": "low"}, "train_loss.*: expected a valid"),
        ({"train_loss": []}, "train_loss.*found a list of 0"),
        ({"more": {"a": 1}}, "more.*found a dict of 1"),
    ],
)
def test_a_record_of_other_things_is_named_by_its_line(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    line = json.dumps({"epoch": 0, "train_loss": 1.5, **changes})
    (tmp_path / "metrics.jsonl").write_text(line + "\n")

    with pytest.raises(TrainingError, match=rf"metrics\.jsonl, line 1: .*{message}"):
        read_history(tmp_path)


def test_an_environment_keeps_what_this_release_does_not_know(tmp_path: Path) -> None:
    content = {"skelab": "9.0", "new": [1, {"a": None}], "data": {"dataset": "ntu", "more": 3}}
    (tmp_path / "environment.json").write_text(json.dumps(content))

    assert read_environment(tmp_path) == content
    assert read_environment(tmp_path / "elsewhere") == {}


@pytest.mark.parametrize(
    "text",
    ["[]", "3", "{", "[" * 100_000, '{"data": 3}', '{"data": {"dataset": 3}}', "\x00", ""],
    ids=lambda text: text[:12],
)
def test_a_damaged_environment_is_one_line(tmp_path: Path, text: str) -> None:
    (tmp_path / "environment.json").write_text(text)

    with pytest.raises(TrainingError, match=r"environment\.json: expected a JSON object") as caught:
        read_environment(tmp_path)

    assert "\n" not in str(caught.value)
