"""What a fused network must be measured against; always trained, measured and shown.

A fuser that gains nothing over shuffled side-cars has learned nothing from them.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from jaxtyping import Int64
from numpy import ndarray

from skelab.data.clips.opened_clips import OpenedClips
from skelab.errors import SideCarError
from skelab.evaluation import (
    Comparison,
    OutputScores,
    Proportion,
    Scores,
    paired_bootstrap,
    topk_accuracy,
)
from skelab.files.atomic import atomic_write
from skelab.fusion import SIDE_CAR_ONLY, AlignedSideCars, open_side_cars, side_cars_of_store
from skelab.inference.network import Network, open_network
from skelab.inference.places import CHECKPOINTS, CHOSEN
from skelab.recipes import Recipe
from skelab.report import Section, Table
from skelab.report.tables import percent

CONTROLS: Final = "controls"
"""Folder of the networks that a fused one is compared with, in its run folder."""

SKELETON, SIDE_CAR = "skeleton", "side-car"
_SEED: Final = 0


@dataclass(frozen=True)
class Control:
    """One way of answering, and what is said of it beside the skeleton alone.

    Attributes:
        name: What it is.
        top1: Its accuracy.
        against_skeleton: The paired comparison; None for the skeleton itself.
    """

    name: str
    top1: Proportion
    against_skeleton: Comparison | None


@dataclass(frozen=True)
class FusionControls:
    """A fused network and its controls on the same clips.

    Attributes:
        kind: The fuser.
        encoder: What made the side-cars.
        clips: Clips scored.
        with_side_car: How many of them have a side-car.
        rows: Skeleton only, side-car only, fused, shuffled within class and across, removed.
    """

    kind: str
    encoder: str
    clips: int
    with_side_car: int
    rows: tuple[Control, ...]

    def cells(self) -> tuple[list[str], list[list[str]]]:
        """Columns and rows of the table that is shown."""
        columns = ["what answers", "top-1", "95 %", "against skeleton", "95 % ", "McNemar p"]
        rows = []
        for row in self.rows:
            top1, found = row.top1, row.against_skeleton
            cells = [row.name, percent(top1.value), f"{percent(top1.low)} to {percent(top1.high)}"]
            if found is None:
                rows.append([*cells, "", "", ""])
                continue
            cells.append(f"{100 * found.difference:+.2f}")
            cells.append(f"{100 * found.low:+.2f} to {100 * found.high:+.2f}")
            rows.append([*cells, f"{found.mcnemar_p_value:.2g}"])
        return columns, rows

    @property
    def title(self) -> str:
        """What the table is of."""
        return (
            f"fusion {self.kind}, side-cars {self.encoder}, for {self.with_side_car:,} of"
            f" {self.clips:,} clips"
        )

    def section(self) -> Section:
        """The part of the report."""
        columns, rows = self.cells()
        return Section(
            title="Side-cars and their controls",
            text=(
                "Differences are in points, paired by clip, against the same recipe trained on"
                " skeletons alone. A fuser that is no better than with shuffled side-cars has"
                " learned nothing from them."
            ),
            tables=(Table(tuple(columns), tuple(map(tuple, rows)), caption=self.title),),
        )

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain values."""
        rows = [
            {
                "name": row.name,
                "top1": {"value": row.top1.value, **asdict(row.top1)},
                "against_skeleton": row.against_skeleton and asdict(row.against_skeleton),
            }
            for row in self.rows
        ]
        return {**asdict(self), "rows": rows}

    def save(self, path: Path) -> None:
        """Write it as JSON."""
        with atomic_write(path) as temporary:
            temporary.write_text(json.dumps(self.to_dict(), indent=1) + "\n", encoding="utf-8")


def control_recipes(recipe: Recipe) -> dict[str, Recipe]:
    """The recipes of the networks that a fused one is compared with, by the folder of each."""
    if recipe.fusion is None or recipe.fusion.kind == SIDE_CAR_ONLY:
        return {}
    alone = recipe.fusion.model_copy(update={"kind": SIDE_CAR_ONLY})
    return {
        SKELETON: recipe.model_copy(update={"fusion": None}),
        SIDE_CAR: recipe.model_copy(update={"fusion": alone}),
    }


def open_side_cars_of(
    network: Network, recipe: Recipe, store: OpenedClips, given: Path | None
) -> AlignedSideCars | None:
    """The side-cars that a fused network is evaluated with; None for one of skeletons alone.

    Args:
        network: The network.
        recipe: Its recipe, which names the side-cars of training.
        store: The clips.
        given: Other side-cars, of the same encoder.

    Raises:
        SideCarError: They cannot be read, do not fit network or clips, or the network takes none.
    """
    spec = network.spec
    if spec.fusion is None:
        if given is not None:
            raise SideCarError(
                f"{network.path}: takes no side-cars, as it was trained on skeletons alone; leave"
                " --side-car out"
            )
        return None
    path = given or Path(recipe.fusion.side_car if recipe.fusion else "")
    if given is None and not path.is_file():
        raise SideCarError(
            f"{path}: the side-cars of training are not there any more; --side-car FILE names them"
        )
    side_cars = open_side_cars(path)
    spec.fusion.check(side_cars.info, path, str(network.path))
    return side_cars_of_store(side_cars, store)


def measure_controls(
    path: Path,
    network: Network,
    side_cars: AlignedSideCars,
    store: OpenedClips,
    rows: Int64[ndarray, " N"],
    fused: Scores,
    *,
    on_scored: Callable[[int, int], None] | None = None,
) -> FusionControls:
    """Score the controls of a fused network on the rows on which it was scored itself.

    Raises:
        SideCarError: The networks to compare with are not in the run folder.
    """
    spec = network.spec.fusion
    if spec is None:
        raise SideCarError(f"{path}: takes no side-cars")

    def scored(chosen: Network) -> Scores:
        made = chosen.scores(
            store, rows, split=fused.info.split, part=fused.info.part, on_scored=on_scored
        )
        if isinstance(made, OutputScores):
            raise SideCarError(f"{path}: side-cars are compared for tasks that name classes")
        return made

    alone = scored(_control_network(path, SKELETON))
    within, across = (_donors(fused, side_cars, within=same) for same in (True, False))
    others = {
        "side-car only": scored(_control_network(path, SIDE_CAR).with_side_cars(side_cars)),
        f"fused ({spec.kind})": fused,
        "fused, shuffled in class": scored(network.with_side_cars(side_cars.shuffled(within))),
        "fused, shuffled across": scored(network.with_side_cars(side_cars.shuffled(across))),
        "fused, removed": scored(network.with_side_cars(side_cars.without())),
    }
    made = [Control("skeleton only", topk_accuracy(alone, 1), None)]
    for name, scores in others.items():
        compared = paired_bootstrap(scores, alone, seed=_SEED)
        made.append(Control(name, topk_accuracy(scores, 1), compared))
    known = sum(name in side_cars.store for name in fused.names)
    return FusionControls(
        spec.kind, f"{spec.encoder} {spec.version}", len(fused), known, tuple(made)
    )


def _control_network(path: Path, name: str) -> Network:
    run = path if path.is_dir() else path.parent.parent
    folder = run / CONTROLS / name
    if not (folder / CHECKPOINTS / CHOSEN).is_file():
        raise SideCarError(
            f"{path}: a fused network is shown beside its controls only, and {folder} holds none;"
            " evaluate its run folder, or let `skelab train --resume` end the run"
        )
    return open_network(folder, engine="torch")


def _donors(fused: Scores, side_cars: AlignedSideCars, *, within: bool) -> Mapping[str, str]:
    """Whose side-car each clip has: of another clip of its class, or of one of another class."""
    rng = np.random.default_rng(_SEED)
    having = np.array([name in side_cars.store for name in fused.names])
    donors: dict[str, str] = {}
    for label in np.unique(fused.labels):
        own = np.flatnonzero(having & (fused.labels == label))
        if within:
            own = rng.permutation(own)
            chosen = np.roll(own, 1)
        else:
            others = np.flatnonzero(having & (fused.labels != label))
            if not len(others):
                continue
            chosen = rng.choice(others, len(own))
        donors |= {fused.names[a]: fused.names[b] for a, b in zip(own, chosen, strict=True)}
    return donors
