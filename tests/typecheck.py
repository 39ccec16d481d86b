"""The checker that jaxtyping's import hook puts around every function of skelab in tests."""

from collections.abc import Callable
from typing import Any

from beartype import BeartypeConf, beartype
from beartype.roar import BeartypeDecorHintPep673Exception

_CHECK = beartype(conf=BeartypeConf(is_pep484_tower=True))  # an int will do for a float


def check_types(function: Callable[..., Any]) -> Callable[..., Any]:
    """Check arguments and results in every call, shapes of arrays included.

    A method that returns ``Self`` is left as it is: beartype takes that in a class as a whole, and
    the hook hands over one function after the other.
    """
    try:
        return _CHECK(function)
    except BeartypeDecorHintPep673Exception:
        return function
