"""The reference page of the model families, made from their cards."""

from collections.abc import Iterable, Iterator, Sequence

from skelab.errors import ModelError, unknown_name
from skelab.models.card import ModelCard, ReportedAccuracy
from skelab.models.measured import FamilyCost, measured_families

_HEAD = """\
# Models

What each family says of itself; `skelab models` prints the same, and this page is made by
`skelab models --markdown`. The accuracies are those that others printed, as a rule of the best
epoch on the test part: none of them was measured here. What was stands in
[results](../results.md).

Every family takes clips N C T V M of any layout, number of bodies and number of classes, through
one door:

```python
from skelab.models import create_model, list_models

for card in list_models():
    model = create_model(card.name, num_classes=60, layout="ntu25", in_channels=3, max_bodies=2)
    print(card.name, sum(parameter.numel() for parameter in model.parameters()))
```

Weights of the authors' code go in and out by `skelab import-weights` and `skelab export-weights`.
A network of your own joins the list in twenty lines: see
[Your own model](../how-to/your-own-model.md).

Where the authors' code departs from their paper, an option switches to the code's way: it is off by
default, on for imported weights and, as a rule, in the family's recipe.

DeGCN is not here. Its repository, WoominM/DeGCN_pytorch@a0a261f, lacks the centre of the network:
the deformable spatial convolution is an empty function that nothing calls. No numbers of the
authors' could show that a network written from the paper is theirs.
"""


_COMPARED_HEAD = """\
## Compared

The fastest first; `skelab models --sort accuracy` (or parameters, flops, latency, memory) prints
the same in another order. Top-1 is of joints on NTU RGB+D 60, X-Sub, as others printed it, as a
rule of the epoch that did best on the test part; empty where no source was at hand. The rest is of
a clip of two bodies and 60 classes, of the frames that the family's recipe takes: operations (a
multiply-add counts twice), milliseconds of processor time on one thread, and megabytes of weights,
both in float32. Which batch fits a graphics card is told by `skelab fit MODEL --vram 8GB`.

Measured on {measured.machine}, PyTorch {measured.torch}, beside other programs. This command
measures it again:

```text
{measured.command}
skelab models --markdown > docs/reference/models.md
```
"""


def models_page(cards: Iterable[ModelCard]) -> str:
    """The page, Markdown, of the families with these cards."""
    cards = tuple(cards)
    overview = _table(
        ("model", "network", "parameters", "authors' code", "its licence"),
        [
            (
                f"`{card.name}`",
                card.title,
                _count(card.num_parameters),
                f"`{_short(card.code)}`" if card.code else "",
                card.code_licence,
            )
            for card in cards
        ],
    )
    return "\n".join([_HEAD, overview, *_comparison(cards), *map(_section, cards)])


SORT_KEYS = ("name", "accuracy", "parameters", "flops", "latency", "memory")
"""What families can be sorted by."""


def sorted_cards(cards: Iterable[ModelCard], key: str) -> tuple[ModelCard, ...]:
    """Cards with the best first: the highest accuracy, the lowest of all else.

    Accuracy is that of joints on NTU RGB+D 60, X-Sub, as others printed it. Families without the
    figure come last.

    Raises:
        ModelError: There is no such key.
    """
    if key not in SORT_KEYS:
        raise ModelError(unknown_name("key to sort by", key, SORT_KEYS))
    known = measured_families().families

    def rank(card: ModelCard) -> tuple[bool, float, str]:
        figure = _figure(card, known.get(card.name), key)
        return (figure is None, figure or 0.0, card.name)

    return tuple(sorted(cards, key=rank))


def compared_figures(card: ModelCard) -> tuple[str, ...]:
    """The row of a family in the comparison, without its name; empty where nothing is known."""
    cost = measured_families().families.get(card.name)
    printed = _printed(card, "joint")
    return (
        f"{printed.top1:.1f}" if printed else "",
        _count(card.num_parameters),
        f"{cost.frames}" if cost else "",
        f"{cost.gflops:.1f}" if cost else "",
        f"{cost.ms:.0f}" if cost else "",
        f"{cost.mb:.1f}" if cost else "",
    )


COMPARED = ("top-1 %", "parameters", "frames", "GFLOPs", "ms", "MB")
"""The columns of `compared_figures`."""


def _figure(card: ModelCard, cost: FamilyCost | None, key: str) -> float | None:
    """What a family is sorted by: the lower, the earlier."""
    printed = _printed(card, "joint")
    if key == "name":
        return 0.0
    if key == "accuracy":
        return -printed.top1 if printed else None
    if key == "parameters":
        return card.num_parameters
    if cost is None:
        return None
    return {"flops": cost.gflops, "latency": cost.ms, "memory": cost.mb}[key]


def _printed(card: ModelCard, streams: str) -> ReportedAccuracy | None:
    """The accuracy on NTU RGB+D 60, X-Sub, that somebody printed for these streams."""
    wanted = ("NTU60", "xsub", streams)
    found = (each for each in card.reported if (each.dataset, each.split, each.streams) == wanted)
    return next(found, None)


def _comparison(cards: Sequence[ModelCard]) -> Iterator[str]:
    """The table of what families reach and cost, with the machine that it was measured on."""
    measured = measured_families()
    known = [card for card in cards if card.name in measured.families]
    if not known:
        return
    rows = [
        (f"`{card.name}`", *compared_figures(card), _source(card), card.code_licence)
        for card in sorted_cards(known, "latency")
    ]
    yield _COMPARED_HEAD.format(measured=measured)
    yield _table(("model", *COMPARED, "top-1 printed by", "licence of the code"), rows)


def _source(card: ModelCard) -> str:
    printed = _printed(card, "joint")
    return printed.source if printed else ""


def _section(card: ModelCard) -> str:
    lines = [f"## {card.title}", "", _paper(card), ""]
    lines += [line for sentence in _traits(card) for line in (sentence, "")]
    if card.options:
        rows = [
            (f"`{option.name}`", f"`{_plain(option.default)}`", option.meaning)
            for option in card.options
        ]
        lines.append(_table(("option", "default", "meaning"), rows))
    if card.reported:
        figures = [
            (entry.dataset, entry.split, entry.streams, f"{entry.top1:.1f}", entry.source)
            for entry in card.reported
        ]
        lines.append(_table(("data set", "split", "streams", "top-1 %", "printed by"), figures))
    return "\n".join(lines)


def _traits(card: ModelCard) -> Iterator[str]:
    """What is unusual of a family: a sentence each."""
    traits = card.traits
    if not traits.takes_all:
        yield f"The frames of a clip must be {traits.lengths}."
    if traits.bodies_mix:
        yield "The bodies of a clip mix, so that absent bodies are not spared."
    if traits.samples_mix:
        yield "The clips of a batch mix."
    if traits.causal:
        yield "It is causal: no token depends on later frames."
    if card.paper:
        nearest = ", which comes nearest to its authors'" if card.pipeline_is_nearest else ""
        yield f"Preprocessing: `{card.pipeline}`{nearest}."


def _paper(card: ModelCard) -> str:
    paper = f"{card.paper}." if card.paper else ""
    link = f" [arXiv:{card.arxiv}](https://arxiv.org/abs/{card.arxiv})." if card.arxiv else ""
    return f"`{card.name}`. {paper}{link} This code: {card.licence}."


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _short(code: str) -> str:
    """``owner/repository@commit`` with the first seven digits of the commit."""
    repository, at, commit = code.partition("@")
    return f"{repository}{at}{commit[:7]}"


def _count(number: int | None) -> str:
    return "" if number is None else f"{number:,}"


def _plain(value: object) -> str:
    """A default as a recipe would write it."""
    if value is None:
        return "null"
    return str(value).lower() if isinstance(value, bool) else str(value)
