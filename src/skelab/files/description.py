"""JSON that a file says of itself, read by a schema: bounded, strict, and refused in one line."""

from typing import Annotated, Any, Final, Protocol, TypeVar, runtime_checkable

from pydantic import AfterValidator, Field, ValidationError
from pydantic_core import ErrorDetails

from skelab.errors import SkelabError

Content = TypeVar("Content", covariant=True)

LARGEST: Final = 1 << 26
"""Characters of a description, at most, unless a caller says otherwise."""

_SHOWN: Final = 60


def can_be_written(text: str) -> bool:
    """Whether a file and a terminal can be sent a text: it has no half of a surrogate pair."""
    return text.isascii() or not any("\ud800" <= letter <= "\udfff" for letter in text)


def _written(text: str) -> str:
    if not can_be_written(text):
        raise ValueError("expected text, found half of a surrogate pair in it")
    return text


WRITABLE: Final = AfterValidator(_written)
"""Of a text: it can be written to a file."""

Text = Annotated[str, WRITABLE]
"""Text of any length that can be written to a file."""

Name = Annotated[str, Field(max_length=1_000), WRITABLE]
"""A name, as a data set, a class or a clip has one."""

Count = Annotated[int, Field(ge=0, le=2**53)]
"""A number of things; a float holds it too."""


@runtime_checkable
class Schema(Protocol[Content]):
    """What reads JSON: a ``TypeAdapter``, which beartype has no name for."""

    def validate_json(self, data: str | bytes, /) -> Content:
        """The content of a JSON text; raises a ``ValidationError``."""
        ...


def read_description(
    text: str | bytes,
    schema: Schema[Content],
    where: str,
    error: type[SkelabError],
    *,
    largest: int = LARGEST,
) -> Content:
    """The content of a JSON text, as a schema has it.

    Args:
        text: The JSON, which may come from anybody: deep, long, of any types.
        schema: What it must be; a strict one, so that text is not taken for a number.
        where: What the message begins with, a path as a rule.
        error: What is raised.
        largest: Characters or bytes, at most.

    Raises:
        SkelabError: As ``error``; one line that names the entry, what was expected and found.
    """
    if len(text) > largest:
        raise error(f"{where}: expected at most {largest:,} characters, found {len(text):,}")
    try:
        return schema.validate_json(text)
    except ValidationError as fault:
        raise error(f"{where}: {first_fault(fault)}") from None


def first_fault(fault: ValidationError) -> str:
    """One line for the first fault that a schema has found: entry, expected, found."""
    first = fault.errors()[0]
    place = ".".join(str(piece)[:_SHOWN] for piece in first["loc"])
    more = f" (and {fault.error_count() - 1} more)" if fault.error_count() > 1 else ""
    return f"{f'{place}: ' if place else ''}{_reason(first)}{more}"


def _reason(first: ErrorDetails) -> str:
    said = " ".join(first["msg"].removeprefix("Value error, ").split())
    said = f"{said[:1].lower()}{said[1:]}".replace("input should be", "expected", 1)
    if first["type"] == "missing":
        return "expected, found nothing"
    if first["type"] in ("value_error", "json_invalid"):
        return said
    return f"{said}, found {_shown(first['input'])}"


def _shown(value: Any) -> str:
    """The start of a value, whatever its size: a list of a million entries is not written out."""
    if isinstance(value, str | bytes | int | float | None):
        text = ascii(value[:_SHOWN]) if isinstance(value, str | bytes) else _number(value)
    else:
        text = f"a {type(value).__name__} of {len(value)}" if hasattr(value, "__len__") else "..."
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def _number(value: int | float | None) -> str:  # an int has bits
    """A number as it is; one of more digits than Python prints by its size."""
    if isinstance(value, int) and value.bit_length() > 4 * _SHOWN:
        return f"a number of {value.bit_length()} bits"
    return str(value)
