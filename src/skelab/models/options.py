"""The options of a family, read off the signature of its builder."""

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, get_args, get_origin

from skelab.errors import ModelError

COMMON_ARGUMENTS = ("num_classes", "layout", "in_channels", "max_bodies")
"""The keywords that every builder takes."""


@dataclass(frozen=True)
class Option:
    """Says in a builder's signature what an option does: ``Annotated[int, Option("channels")]``.

    Attributes:
        meaning: What it does, and what it may be.
    """

    meaning: str


@dataclass(frozen=True)
class ModelOption:
    """A keyword that a family takes beyond classes, layout, channels and bodies.

    Attributes:
        name: The keyword.
        default: Its value unless given.
        meaning: What it does, and what it may be.
    """

    name: str
    default: object
    meaning: str = ""


DROPOUT = ModelOption("dropout", 0.0, "probability of dropping a feature before the classifier")
"""The option that every family of the lab has."""

CAUSAL = ModelOption(
    "causal",
    False,
    "depend on no later frame, so that the network can classify every frame of a stream; weights"
    " keep their names and shapes",
)
"""The option of families that can be made causal."""

HORIZON = ModelOption(
    "horizon", 64, "frames that a causal network averages over, where others average over the clip"
)
"""The length of the averages of a causal network."""

Dropout = Annotated[float, Option(DROPOUT.meaning)]
"""The same in the signature of a builder whose card lists no options."""


def read_options(name: str, build: Callable[..., Any]) -> tuple[ModelOption, ...]:
    """The keywords of the builder of the family ``name`` that are its options.

    Raises:
        ModelError: The builder lacks a common keyword, an option has no default, or an annotation
            cannot be read.
    """
    keywords = _keywords(name, build)
    options = [keywords[key] for key in keywords if key not in COMMON_ARGUMENTS]
    bare = [option.name for option in options if option.default is inspect.Parameter.empty]
    if bare:
        raise ModelError(
            f"builder of {name!r}: expected a default for each option, found none for"
            f" {', '.join(bare)}"
        )
    return tuple(
        ModelOption(option.name, option.default, _meaning(option.annotation)) for option in options
    )


def check_whole(family: str, option: str, value: int, *, least: int = 1) -> None:
    """Refuse an option of a family that is below ``least``.

    Raises:
        ModelError: It is.
    """
    if value < least:
        raise ModelError(
            f"{family}: {option}: expected a whole number from {least}, found {value!r}"
        )


def check_multiple(family: str, option: str, value: int, *, of: int) -> None:
    """Refuse an option of a family that is not a positive multiple of ``of``.

    Raises:
        ModelError: It is not.
    """
    if value < of or value % of:
        raise ModelError(f"{family}: {option}: expected a multiple of {of}, found {value!r}")


def check_probability(family: str, option: str, value: float) -> None:
    """Refuse an option of a family that is no probability below 1.

    Raises:
        ModelError: It is not in [0, 1).
    """
    if not 0.0 <= value < 1.0:
        raise ModelError(f"{family}: {option}: expected a number in [0, 1), found {value!r}")


def _meaning(annotation: object) -> str:
    if get_origin(annotation) is not Annotated:
        return ""
    marks = [mark for mark in get_args(annotation)[1:] if isinstance(mark, Option)]
    return marks[0].meaning if marks else ""


def check_options(name: str, build: Callable[..., Any], options: Sequence[ModelOption]) -> None:
    """Compare the options that a card lists with the keywords that its builder takes.

    Raises:
        ModelError: One of them is missing on either side, or the builder lacks a common keyword.
    """
    listed = [option.name for option in options]
    taken = [key for key in _keywords(name, build) if key not in COMMON_ARGUMENTS]
    if sorted(listed) != sorted(taken):
        raise ModelError(
            f"card of {name!r}: expected the options that the builder takes"
            f" ({', '.join(taken) or 'none'}), found {', '.join(listed) or 'none'}"
        )


def _keywords(name: str, build: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    """The keyword-only parameters of a builder; the common ones must be among them."""
    try:
        parameters = inspect.signature(build, eval_str=True).parameters.values()
    except (NameError, SyntaxError) as error:
        raise ModelError(
            f"builder of {name!r}: expected annotations that can be read, found a fault: {error}"
        ) from None
    keywords = {
        parameter.name: parameter
        for parameter in parameters
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY
    }
    missing = [argument for argument in COMMON_ARGUMENTS if argument not in keywords]
    if missing:
        raise ModelError(
            f"builder of {name!r}: expected the keywords {', '.join(COMMON_ARGUMENTS)},"
            f" found none called {', '.join(missing)}"
        )
    return keywords
