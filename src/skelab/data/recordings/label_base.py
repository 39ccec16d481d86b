"""The number of the first class: labels that do not begin at 0 are never taken as they are.

Numbers 1 to 20 taken as indices make a class 0 that nobody performs; with a list of 20 names each
clip gets the name of the next class. So whoever reads numbers asks here first.
"""

from collections.abc import Iterable
from typing import Final

from skelab.errors import SourceError

_DIGITS: Final = 5

INGEST_OPTION: Final = "skelab ingest --labels-from {}"
"""How the number of the first class is said of arrays and pickles."""


def is_number(text: str) -> bool:
    """Whether a label is written as a number, say ``7``."""
    return text.isascii() and text.isdigit() and len(text) <= _DIGITS


def check_label_base(numbers: Iterable[int], labels_from: int | None, where: str, key: str) -> int:
    """The number of the first class.

    Args:
        numbers: All labels that are numbers.
        labels_from: What the user said; None where nobody said anything.
        where: What holds the labels, for the message.
        key: How the user says it, say :data:`INGEST_OPTION`.

    Raises:
        SourceError: None of the labels is 0, and the user did not say whether they are counted
            from 1.
    """
    smallest = min(numbers, default=0)
    if labels_from is None and smallest > 0:
        raise SourceError(
            f"{where}: expected labels from 0, found {smallest} as the smallest: say"
            f" `{key.format(1)}` if the first class is number 1, or `{key.format(0)}` if it is"
            " number 0 and has no clip here"
        )
    return labels_from or 0
