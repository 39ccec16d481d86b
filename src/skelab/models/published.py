"""The ledger of published figures: who printed which accuracy, on which protocol.

``published.json`` beside this module holds them all. Cards of families take theirs from it, and
``docs/reference/published.md`` is made of it.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from typing import Final

from skelab.models.card import ReportedAccuracy


@dataclass(frozen=True)
class Published:
    """One figure that somebody printed; nobody measured it here.

    Attributes:
        model: Key of the model: the name of a family here, or that of another network.
        title: The name that people write.
        licence: Licence of the authors' code.
        accuracy: The figure with data set, split, streams and source.
        checked: Whether it was read in the source that is named; otherwise it is second-hand.
    """

    model: str
    title: str
    licence: str
    accuracy: ReportedAccuracy
    checked: bool


@dataclass(frozen=True)
class Ledger:
    """All published figures that the lab quotes.

    Attributes:
        figures: The figures, in the order of the file.
        misprints: Where printed figures mislead, and how.
    """

    figures: tuple[Published, ...]
    misprints: tuple[tuple[str, str], ...]


@lru_cache
def load_ledger() -> Ledger:
    """Read the ledger that comes with the lab."""
    file = resources.files("skelab.models") / "published.json"
    content = json.loads(file.read_text(encoding="utf-8"))
    sources, models = content["sources"], content["models"]
    figures = []
    for model, dataset, split, streams, top1, source in content["figures"]:
        said = sources[source]
        accuracy = ReportedAccuracy(dataset, split, streams, top1, said["text"])
        about = models[model]
        figures.append(
            Published(model, about["title"], about["licence"], accuracy, said["checked"])
        )
    return Ledger(tuple(figures), tuple((where, what) for where, what in content["misprints"]))


def published_figures(model: str) -> tuple[ReportedAccuracy, ...]:
    """The figures of a family, for its card.

    Args:
        model: Its name.
    """
    return tuple(each.accuracy for each in load_ledger().figures if each.model == model)


_HEAD: Final = """\
# Published figures

Every accuracy of others that this lab quotes, in one place. None was measured here: what was
stands in [results](../results.md). The page is made from `skelab/models/published.json`, of which
the cards of the [models](models.md) take theirs; `skelab models --published` prints it.

*Read* says that the figure was read in the source that is named. *Second-hand* figures come from a
table in somebody else's work or from memory: do not make them goals. As a rule the epoch was chosen
on the test part ([why that matters](../explanation/honest-protocol.md)), and one seed differs from
another by about a point: the author of MS-G3D saw 88.5 to 89.9 % on NTU60 X-Sub with joints
(issue 12 of the repository). Figures are top-1 in percent; of zero-shot recognition, over the
unseen classes. The licence is that of the authors' code.
"""


def published_page() -> str:
    """The page of the ledger, Markdown."""
    ledger = load_ledger()
    return "\n".join([_HEAD, *_sections(ledger), *_misprints(ledger)])


def _sections(ledger: Ledger) -> Iterator[str]:
    for dataset in dict.fromkeys(each.accuracy.dataset for each in ledger.figures):
        yield f"## {dataset}\n"
        yield "| model | split | streams | top-1 | source | | licence |"
        yield "|---|---|---|---|---|---|---|"
        for each in ledger.figures:
            said = each.accuracy
            if said.dataset == dataset:
                read = "read" if each.checked else "second-hand"
                cells = (each.title, said.split, said.streams, f"{said.top1:g}", said.source)
                yield f"| {' | '.join((*cells, read, each.licence))} |"
        yield ""


def _misprints(ledger: Ledger) -> Iterator[str]:
    yield "## Known misprints and traps\n"
    yield "| where | what |\n|---|---|"
    for where, what in ledger.misprints:
        yield f"| {where} | {what} |"
    yield ""
