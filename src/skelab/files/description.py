"""JSON descriptions in files, validated against a schema: bounded, strict, one-line errors."""

from typing import Annotated, Any, Final, Protocol, TypeVar, runtime_checkable

from pydantic import AfterValidator, Field, ValidationError
from pydantic_core import ErrorDetails

from skelab.errors import SkelabError

Content = TypeVar("Content", covariant=True)

LARGEST: Final = 1 << 26
"""Default maximum length of a description, characters."""

_SHOWN: Final = 60


def can_be_written(text: str) -> bool:
    """Whether a text can be encoded as UTF-8: it has no lone surrogate."""
    return text.isascii() or not any("\ud800" <= letter <= "\udfff" for letter in text)


def _written(text: str) -> str:
    if not can_be_written(text):
        raise ValueError("expected text, found half of a surrogate pair in it")
    return text


WRITABLE: Final = AfterValidator(_written)
"""Validator of texts that can be written to a file."""

Text = Annotated[str, WRITABLE]
"""Text of any length that can be written to a file."""

Name = Annotated[str, Field(max_length=1_000), WRITABLE]
"""A name, as a data set, a class or a clip has one."""

Count = Annotated[int, Field(ge=0, le=2**53)]
"""A count that a float represents exactly."""


@runtime_checkable
class Schema(Protocol[Content]):
    """A ``TypeAdapter``; typed as a protocol because beartype cannot check it."""

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
    """The content of a JSON text, validated against a schema.

    Args:
        text: The JSON; untrusted.
        schema: A strict schema, so that text is not converted to a number.
        where: Start of the message, usually a path.
        error: What is raised.
        largest: Characters or bytes, at most.

    Raises:
        SkelabError: As ``error``; one line with the entry, what was expected and what was found.
    """
    if len(text) > largest:
        raise error(f"{where}: expected at most {largest:,} characters, found {len(text):,}")
    try:
        return schema.validate_json(text)
    except ValidationError as fault:
        raise error(f"{where}: {first_fault(fault)}") from None


def first_fault(fault: ValidationError) -> str:
    """One line for the first validation error: entry, expected, found."""
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
    """The start of a value as text; long lists are not written out."""
    if isinstance(value, str | bytes | int | float | None):
        text = ascii(value[:_SHOWN]) if isinstance(value, str | bytes) else _number(value)
    else:
        text = f"a {type(value).__name__} of {len(value)}" if hasattr(value, "__len__") else "..."
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def _number(value: int | float | None) -> str:  # an int has bits
    """A number as text; huge integers by their size."""
    if isinstance(value, int) and value.bit_length() > 4 * _SHOWN:
        return f"a number of {value.bit_length()} bits"
    return str(value)
