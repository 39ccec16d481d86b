"""The checker that jaxtyping's import hook puts around every function of skelab in tests."""

from collections.abc import Callable
from typing import Any

from beartype import beartype
from beartype.roar import BeartypeDecorHintPep673Exception


def check_types(function: Callable[..., Any]) -> Callable[..., Any]:
    """Check arguments and results in every call, shapes of arrays included.

    A method that returns ``Self`` is left as it is: beartype takes that in a class as a whole, and
    the hook hands over one function after the other.
    """
    try:
        return beartype(function)
    except BeartypeDecorHintPep673Exception:
        return function
