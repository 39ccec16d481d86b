"""The record of a run as it is read: one JSON line an epoch."""

import json
from pathlib import Path
from typing import Final

from skelab.errors import TrainingError

METRICS: Final = "metrics.jsonl"
"""The records in a run folder."""


def read_history(run: Path) -> list[dict[str, int | float]]:
    """The records of a run, one an epoch; empty if none was written yet.

    Raises:
        TrainingError: The file is damaged.
    """
    path = run / METRICS
    if not path.exists():
        return []
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise TrainingError(f"{path}: the records cannot be read: {reason}") from None
    records: list[dict[str, int | float]] = []
    for number, line in enumerate(lines, start=1):
        try:
            record = json.loads(line)
            record["epoch"] = int(record["epoch"])
        except (ValueError, KeyError, TypeError, OverflowError):
            raise TrainingError(
                f"{path}, line {number}: expected the JSON record of an epoch, found {line[:40]!a}"
            ) from None
        records.append(record)
    return records
