"""Prediction of the next action as tables, a curve and a page."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from markupsafe import Markup

from skelab.evaluation import Guess, NextFigures
from skelab.report.detection import write_sections
from skelab.report.plots import SERIES, figure_svg, name_axes, new_figure, value_ticks
from skelab.report.report import Section, Table
from skelab.report.tables import percent

NEXT_COLUMNS: Final = ("predictor", "questions", "top-1", "95 %", "top-3", "class mean", "log-loss")
"""Heading of every table of next actions."""

_MEMORY: Final = (
    "the order of actions occurs in training: what is right here is memory, and no anticipation"
)
_NEW: Final = "no training sequence has this order of actions"


@dataclass(frozen=True)
class NextBlock:
    """Next actions in the sequences of one kind.

    Attributes:
        new_people: Whether nobody in them is in training; None where nobody is named.
        new_order: Whether no training sequence has the order of their actions.
        sequences: Number of sequences.
        guesses: What the labels alone give.
        networks: What predictors that see frames give at each horizon, by name.
    """

    new_people: bool | None
    new_order: bool
    sequences: int
    guesses: Mapping[Guess, NextFigures]
    networks: Mapping[str, Mapping[int, NextFigures]]

    @property
    def title(self) -> str:
        """Who, and which order."""
        order = "unseen order" if self.new_order else "known order"
        if self.new_people is None:
            return f"{order}, people not named"
        return f"{'unseen people' if self.new_people else 'people from training'}, {order}"

    @property
    def note(self) -> str:
        """What the figures are worth."""
        return _NEW if self.new_order else _MEMORY

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers, texts and dicts."""
        return {
            "title": self.title,
            "memory": not self.new_order,
            "sequences": self.sequences,
            "guesses": {guess.value: each.to_dict() for guess, each in self.guesses.items()},
            "networks": {
                name: {f"{horizon:+d}": each.to_dict() for horizon, each in found.items()}
                for name, found in self.networks.items()
            },
        }


def next_rows(block: NextBlock) -> list[list[str]]:
    """The rows of a table: the ladder of guesses, then each network at each horizon."""
    rows = [_row(f"guess: {guess.value}", each) for guess, each in block.guesses.items()]
    for name, found in block.networks.items():
        rows += [_row(f"{name} {horizon_name(at)}", each) for at, each in found.items()]
    return rows


def horizon_name(frames: int) -> str:
    """A horizon in words, at 30 frames a second."""
    if frames == 0:
        return "at the start"
    if frames < 0:
        return f"{-frames / 30:g} s before"
    return f"{frames} frames into it"


def next_sections(blocks: Sequence[NextBlock]) -> list[Section]:
    """A section of a report for each kind of sequences."""
    return [
        Section(
            title=f"Next action: {block.title}",
            text=f"{block.sequences:,} sequences; {block.note}. Horizons count from the start of"
            " the next action; a network sees frames up to there and none after.",
            figures=tuple([_figure(block, number)] if block.networks else []),
            tables=(
                Table(NEXT_COLUMNS, tuple(tuple(row) for row in next_rows(block)), block.title),
            ),
        )
        for number, block in enumerate(blocks)
    ]


def write_next_page(
    path: Path, title: str, blocks: Sequence[NextBlock], *, synthetic: bool = False
) -> None:
    """Write the page of next actions as one HTML file, whole or not at all.

    Raises:
        OutputError: The file cannot be written; what was there before is untouched.
    """
    write_sections(path, title, "Next action", next_sections(blocks), synthetic)


def _row(name: str, figures: NextFigures) -> list[str]:
    low, high = figures.top1_interval
    return [
        name,
        f"{figures.count:,}",
        percent(figures.top1, digits=1),
        f"{100 * low:.0f} to {100 * high:.0f}",
        percent(figures.top3, digits=1),
        percent(figures.mean_class, digits=1),
        f"{figures.log_loss:.3f}",
    ]


def _figure(block: NextBlock, number: int) -> Markup:
    """Top-1 against the horizon, and the guesses as level lines."""
    figure, axes = new_figure(width=6.4, height=3.2)
    for place, (name, found) in enumerate(block.networks.items()):
        colour = SERIES[place % len(SERIES)]
        at = list(found)
        low, high = ([100 * each.top1_interval[end] for each in found.values()] for end in (0, 1))
        axes.fill_between(at, low, high, color=colour, alpha=0.12, linewidth=0)
        values = [100 * each.top1 for each in found.values()]
        axes.plot(at, values, "o-", color=colour, markersize=3.5, label=name)
    for style, guess in ((":", Guess.MAJORITY), ("--", Guess.HISTORY)):
        level = 100 * block.guesses[guess].top1
        axes.axhline(
            level, color="0.4", linestyle=style, linewidth=1, label=f"guess: {guess.value}"
        )
    axes.axvline(0, color="0.8", linewidth=1)
    axes.set_ylim(0, 101.5)
    axes.yaxis.set_major_locator(value_ticks())
    axes.legend(frameon=False, fontsize=8)
    name_axes(axes, x="frames from the start of the next action", title=f"Top-1, {block.title}, %")
    return figure_svg(
        figure,
        name=f"next-action-{number}",
        description=f"Top-1 of the next action by horizon, {block.title}",
    )
