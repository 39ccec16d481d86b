"""The record of a run as it is read: one JSON line an epoch."""

from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, JsonValue, TypeAdapter

from skelab.errors import TrainingError
from skelab.files.description import Name, read_description
from skelab.files.reading import read_whole

METRICS: Final = "metrics.jsonl"
"""The records in a run folder."""

ENVIRONMENT: Final = "environment.json"
"""The machine, the versions, and the clips, in a run folder."""

_LARGEST: Final = 1 << 20
_EPOCHS: Final = 1_000_000


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
    records = []
    for number, line in enumerate(lines, start=1):
        where = f"{path}, line {number}: expected the JSON record of an epoch, found {line[:40]!a}"
        records.append(read_description(line, _RECORD, where, TrainingError, largest=_LARGEST))
    return records


def read_environment(run: Path) -> dict[str, Any]:
    """What a run was trained with and on, as it was written when it began; empty if it was not.

    Raises:
        TrainingError: The file is damaged.
    """
    path = run / ENVIRONMENT
    if not path.is_file():
        return {}
    try:
        text = read_whole(path, largest=_LARGEST)
    except OSError as error:
        raise TrainingError(f"{path}: cannot be read: {error.strerror or error}") from None
    where = f"{path}: expected a JSON object, found a damaged file"
    return read_description(text, _ENVIRONMENT, where, TrainingError).model_dump(exclude_unset=True)


def _has_an_epoch(record: dict[str, int | float]) -> dict[str, int | float]:
    epoch = record.get("epoch")
    if type(epoch) is not int or not 0 <= epoch <= _EPOCHS:
        raise ValueError(f"expected the number of an epoch, from 0 to {_EPOCHS:,}")
    return record


Value = Annotated[int, Field(ge=-(2**63), lt=2**63)] | float

_RECORD: Final = TypeAdapter(
    Annotated[dict[Name, Value], Field(max_length=1_000), AfterValidator(_has_an_epoch)],
    config=ConfigDict(strict=True),
)


class _TrainedOn(BaseModel):
    """The clips that a run was trained on."""

    model_config = ConfigDict(strict=True, extra="allow")
    __pydantic_extra__: dict[str, JsonValue]

    dataset: Name = ""
    synthetic: bool = False


class _Environment(BaseModel):
    """Versions and machine, as they were; entries that a later release has added are kept."""

    model_config = ConfigDict(strict=True, extra="allow")
    __pydantic_extra__: dict[str, JsonValue]

    data: _TrainedOn = _TrainedOn()


_ENVIRONMENT: Final = TypeAdapter(_Environment)
