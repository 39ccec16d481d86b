"""Robustness of a network: accuracy with worse sensors, other cameras and other people."""

import json
import statistics
from collections.abc import Callable
from dataclasses import asdict, dataclass
from itertools import count, pairwise
from pathlib import Path
from typing import Any, Final

from jaxtyping import Int64
from numpy import ndarray

from skelab.data.clips.opened_clips import OpenedClips
from skelab.data.feeding.stress import STRESSES, Stress, StressedClips
from skelab.errors import NetworkError
from skelab.evaluation import Scores
from skelab.evaluation.metrics import Proportion, topk_accuracy
from skelab.files.atomic import atomic_write
from skelab.inference.engines import FASTEST
from skelab.inference.network import Network, open_network
from skelab.recipes import Recipe
from skelab.report import Section, Table, figure_svg, name_axes, new_figure, percent
from skelab.report.plots import SERIES
from skelab.runs.evaluate import recipe_of, rows_of, with_split
from skelab.tasks import DEFAULT_TASK

_DASHES: Final = ("-", (0, (5, 2)))


@dataclass(frozen=True)
class StressCurve:
    """Accuracy under one kind of stress.

    Attributes:
        name: The kind.
        unit: What the strengths mean.
        strengths: In ascending order.
        top1: Accuracy at each strength.
        area: Area under the accuracy over the five strengths, with clean clips as step
            0, as a share of the maximum; 0..1.
        unfit: Why this stress does not apply to the clips; there is then no accuracy.
    """

    name: str
    unit: str
    strengths: tuple[float, ...]
    top1: tuple[Proportion, ...] = ()
    area: float | None = None
    unfit: str = ""


@dataclass(frozen=True)
class StressResult:
    """Accuracy under all kinds of stress.

    Attributes:
        clean: Accuracy on the clips as they are.
        curves: One for each kind.
        seed: Seed of what was drawn.
        title: Network, data and part.
        synthetic: The clips were made by a program.
    """

    clean: Proportion
    curves: tuple[StressCurve, ...]
    seed: int
    title: str
    synthetic: bool

    @property
    def mean(self) -> float:
        """Mean accuracy over all kinds and strengths."""
        means = [statistics.fmean(each.value for each in c.top1) for c in self.curves if c.top1]
        return statistics.fmean(means)

    @property
    def retained(self) -> float | None:
        """Mean accuracy as a share of the clean accuracy; None if that is 0."""
        return self.mean / self.clean.value if self.clean.hits else None

    def to_dict(self) -> dict[str, Any]:
        """The figures as a JSON object."""
        return {
            "network": self.title,
            "synthetic": self.synthetic,
            "seed": self.seed,
            "clean": _plain(self.clean),
            "mean": self.mean,
            "retained": self.retained,
            "stress": [
                {**asdict(curve), "top1": [_plain(each) for each in curve.top1]}
                for curve in self.curves
            ],
        }

    def cells(self) -> tuple[list[str], list[tuple[str, ...]]]:
        """A row for each kind as text: accuracy at each strength, and the area."""
        columns = ["stress", *(f"step {step}" for step in range(1, 6)), "area"]
        rows = []
        for curve in self.curves:
            if curve.unfit:
                rows.append((curve.name, *["\u2013"] * 6))
                continue
            told = [percent(each.value, digits=1) for each in curve.top1]
            rows.append((curve.name, *told, f"{curve.area:.3f}"))
        return columns, rows


def stress_network(
    path: Path,
    store: OpenedClips,
    *,
    split: str | None = None,
    part: str = "test",
    engine: str | None = None,
    trust: bool = False,
    seed: int = 0,
    on_scored: Callable[[int, int], None] | None = None,
) -> StressResult:
    """Score one part of a split under nine kinds of stress, each at five strengths.

    The same seed gives the same figures.

    Args:
        path: A run folder, a checkpoint or an exported file.
        store: The clips.
        split: Protocol; None takes the recipe's.
        part: ``test``, ``validation`` or ``train``.
        engine: What computes the network; None takes the fastest that gives the same answer.
        trust: Open a ``.pt2`` file, which can run code of its maker.
        seed: Seed of the random draws.
        on_scored: Called with the passes over the part that are done, and all passes.

    Raises:
        NetworkError: The network cannot be opened, or is not for classification.
        SplitError: The clips do not fit the split, or the part is empty.
    """
    network = open_network(path, engine=engine or FASTEST, trust=trust)
    _check_fits(network, store)
    recipe = recipe_of(network, split)
    recipe = recipe if split is None else with_split(recipe, split)
    rows = rows_of(part, recipe, store, needs_labels=True)
    most = min(store.max_bodies, network.spec.max_bodies)
    fit = [each for each in STRESSES.values() if not each.unfit(store.info.layout, most)]
    passes = 1 + sum(len(each.strengths) for each in fit)
    numbers = count(1)

    def accuracy(clips: OpenedClips) -> Proportion:
        scored = _accuracy(network, clips, rows, recipe, part)
        if on_scored:
            on_scored(next(numbers), passes)
        return scored

    clean = accuracy(store)
    curves = []
    for stress in STRESSES.values():
        if why := stress.unfit(store.info.layout, most):
            curves.append(StressCurve(stress.name, stress.unit, stress.strengths, unfit=why))
            continue
        top1 = [accuracy(StressedClips(store, stress, s, seed)) for s in stress.strengths]
        curves.append(_curve(stress, clean, top1))
    title = f"{recipe.model.name} on {store.info.dataset}, {recipe.data.split} {part}"
    synthetic = store.info.synthetic or network.spec.synthetic
    return StressResult(clean, tuple(curves), seed, title, synthetic)


def _accuracy(
    network: Network, clips: OpenedClips, rows: Int64[ndarray, " N"], recipe: Recipe, part: str
) -> Proportion:
    scores = network.scores(
        clips, rows, split=recipe.data.split, part=part, batch_size=recipe.training.batch_size
    )
    if not isinstance(scores, Scores):
        raise NetworkError(f"{network.path}: expected scores of classes, found others")
    return topk_accuracy(scores, 1)


def _check_fits(network: Network, store: OpenedClips) -> None:
    if network.spec.task.name != DEFAULT_TASK:
        raise NetworkError(
            f"{network.path}: expected a network for classification for --stress, found one for"
            f" the task {network.spec.task.name}"
        )
    network.spec.check_store(store.info, store.path, str(network.path))


def write_stress(result: StressResult, path: Path) -> Path:
    """Write the figures as JSON.

    Raises:
        OutputError: The file cannot be written.
    """
    with atomic_write(path) as temporary:
        temporary.write_text(json.dumps(result.to_dict(), indent=2) + "\n", encoding="utf-8")
    return path


def stress_section(result: StressResult) -> Section:
    """The report section with accuracy against strength and the values of the strengths."""
    columns, rows = result.cells()
    units = tuple(
        (
            curve.name,
            curve.unit,
            ", ".join(f"{strength:g}" for strength in curve.strengths),
            curve.unfit or "",
        )
        for curve in result.curves
    )
    kept = "" if result.retained is None else f", {percent(result.retained, digits=1)} of it"
    return Section(
        title="Robustness",
        text=(
            f"Clean top-1 {percent(result.clean.value)}; mean over all kinds and strengths of"
            f" stress {percent(result.mean)}{kept}. The area is that under accuracy against the"
            " five steps, clean clips first; 1 is the largest there can be."
        ),
        figures=(_figure(result),),
        tables=(
            Table(tuple(columns), tuple(rows), caption="Top-1 under stress"),
            Table(("stress", "unit", "steps 1 to 5", "left out because"), units),
        ),
    )


def _curve(stress: Stress, clean: Proportion, top1: list[Proportion]) -> StressCurve:
    values = [clean.value, *(each.value for each in top1)]
    area = sum((a + b) / 2 for a, b in pairwise(values)) / len(top1)
    return StressCurve(stress.name, stress.unit, stress.strengths, tuple(top1), area)


def _figure(result: StressResult) -> str:
    """Accuracy against the step of strength, one line for each kind."""
    figure, axes = new_figure(width=6.4, height=3.6)
    shown = [curve for curve in result.curves if curve.top1]
    for place, curve in enumerate(shown):
        values = [100 * result.clean.value, *(100 * each.value for each in curve.top1)]
        line = _DASHES[place // len(SERIES) % len(_DASHES)]
        colour = SERIES[place % len(SERIES)]
        axes.plot(range(6), values, color=colour, linewidth=1.6, linestyle=line, label=curve.name)
    axes.set_ylim(0, 101.5)
    axes.set_xticks(range(6), ["clean", "1", "2", "3", "4", "5"])
    axes.legend(
        frameon=False,
        fontsize=8,
        labelcolor="linecolor",
        loc="center left",
        bbox_to_anchor=(1, 0.5),
    )
    name_axes(axes, x="step of strength", title="Top-1 under stress, %")
    told = "; ".join(f"{c.name} ends at {100 * c.top1[-1].value:.1f}" for c in shown)
    return figure_svg(figure, name="stress", description=f"Top-1 by step of strength: {told}")


def _plain(share: Proportion) -> dict[str, float]:
    return {"value": share.value, "low": share.low, "high": share.high, "total": share.total}
