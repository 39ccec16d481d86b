"""The cards of all data sets, and what they are asked: splits, and who performs in a clip."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from types import MappingProxyType
from typing import Final

import numpy as np

from skelab.data.clips.index import UNKNOWN, ClipIndex
from skelab.data.clips.splits import COLUMNS, GIVEN, Split, list_parts, parse_written_split
from skelab.data.recordings.card import DatasetCard
from skelab.data.recordings.custom import CustomSource
from skelab.errors import SourceError, SplitError, unknown_name

_PACKAGE: Final = "skelab.data.datasets"


def list_datasets() -> tuple[DatasetCard, ...]:
    """The cards of the public data sets that the lab knows, by name."""
    return tuple(_cards()[name] for name in sorted(_cards()))


def get_dataset(name: str) -> DatasetCard:
    """The card of a data set by its name, say ``"ntu60"``.

    Raises:
        SourceError: There is none of that name; the message lists those that there are.
    """
    try:
        return _cards()[name]
    except KeyError:
        raise SourceError(unknown_name("data set", name, _cards())) from None


def find_datasets(kind: str) -> tuple[DatasetCard, ...]:
    """The cards of a kind, as a store's ``dataset`` gives it, the smallest data set first."""
    return tuple(
        sorted((card for card in list_datasets() if card.kind == kind), key=lambda card: card.clips)
    )


def people_of(kind: str) -> Callable[[int], tuple[int, ...]]:
    """What tells the people who perform under a subject number of a data set."""
    for card in find_datasets(kind):
        return card.people
    return lambda subject: (subject,)


def list_splits() -> tuple[Split, ...]:
    """The published protocols, by name."""
    return tuple(_splits()[name] for name in sorted(_splits()))


def parse_split(text: str) -> Split:
    """A split by its name (``xsub``), or written out (``subject:1,3,5/7``: train / test).

    Ranges are allowed: ``setup:1-8/9-17``. ``given`` is the split that the file itself makes,
    ``part:xsub_train/xsub_val`` one of several that it makes.

    Raises:
        SplitError: The name is unknown or the text cannot be read.
    """
    return _splits()[text] if text in _splits() else parse_written_split(text, _splits())


def check_split(text: str, kind: str, index: ClipIndex, where: object, *, option: str) -> None:
    """Refuse the published split of another data set.

    Clips whose data set is unknown may have any split that their columns allow: an npz or a pickle
    does not always say whose clips it holds.

    Args:
        text: The split, as ``parse_split`` takes it.
        kind: Kind of the clips' source, as a store's ``dataset`` gives it.
        index: The clips.
        where: What holds the clips; heads the message.
        option: How a split is asked for, ``"--split "`` or ``"--set data.split="``.

    Raises:
        SplitError: The split cannot be read, or belongs to another data set; the message lists
            what fits.
    """
    split = parse_split(text)
    owners = [card for card in list_datasets() if split in card.splits]
    own = find_datasets(kind)
    if not owners or kind in {card.kind for card in owners} or not (own or _is_custom(kind)):
        return
    title = " and ".join(card.title for card in own) or CustomSource.title
    fitting = dict.fromkeys(split.name for card in own for split in card.splits)
    names = [*fitting, *([GIVEN] if list_parts(index) else []), *_written_out(index)]
    raise SplitError(
        f"{where}: split {text} is that of {' and '.join(card.title for card in owners)}, but the"
        f" clips are of {title}: expected {' or '.join(option + name for name in names)}"
    )


def _is_custom(kind: str) -> bool:
    return kind == CustomSource.kind


def _written_out(index: ClipIndex) -> list[str]:
    """A split of these clips written out by the first column that can be cut, as an example."""
    for by, name in COLUMNS.items():
        column = getattr(index, name)
        numbers = np.unique(column).tolist()
        if len(numbers) > 1 and UNKNOWN not in numbers:
            cut = max(1, 2 * len(numbers) // 3)
            return [f"{by}:{_ranges(numbers[:cut])}/{_ranges(numbers[cut:])}"]
    return ["subject:TRAIN/TEST, for which the clips need subjects"]


def _ranges(numbers: Sequence[int]) -> str:
    """Ascending numbers as ``parse_split`` reads them: ``1-4,7``."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return ",".join(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs)


@cache
def _cards() -> Mapping[str, DatasetCard]:
    """Every card by its name, found by looking through this package."""
    modules = sorted(
        module.name
        for module in iter_modules([str(Path(__file__).parent)])
        if not module.name.startswith("_")
    )
    found = (import_module(f"{_PACKAGE}.{name}").CARDS for name in modules)
    return MappingProxyType(collect_cards(card for cards in found for card in cards))


def collect_cards(cards: Iterable[DatasetCard]) -> dict[str, DatasetCard]:
    """Cards by name, checked against each other.

    Raises:
        SourceError: Two have one name, or give one name to different splits.
    """
    by_name: dict[str, DatasetCard] = {}
    splits: dict[str, Split] = {}
    for card in cards:
        if card.name in by_name:
            raise SourceError(f"data set {card.name!r} has two cards; names must be unique")
        by_name[card.name] = card
        for split in card.splits:
            if splits.setdefault(split.name, split) != split:
                raise SourceError(
                    f"card of {card.title}: split {split.name!r} is already that of another data"
                    " set, with other parts; name it after its data set"
                )
    return by_name


@cache
def _splits() -> Mapping[str, Split]:
    return MappingProxyType(
        {split.name: split for card in list_datasets() for split in card.splits}
    )
