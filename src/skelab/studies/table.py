"""The table of a study: a row for each group of runs, each fusion, and all folds together."""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

from skelab.errors import SkelabError
from skelab.evaluation import Scores
from skelab.files.atomic import atomic_write
from skelab.report import ComparedRun, Figure, compare_runs
from skelab.report.comparison import NOTHING, Difference, p_value, points
from skelab.report.tables import percent
from skelab.runs.compare import figures_of, read_seed_runs
from skelab.studies.fuse import Fused, fuse_runs
from skelab.studies.grid import StudyRun
from skelab.studies.job import noted_failure
from skelab.studies.study import Study

MARKDOWN: Final = "table.md"
JSON: Final = "table.json"

ALL_FOLDS: Final = "all folds"
"""Value of the split column for rows over all folds."""


@dataclass(frozen=True)
class StudyRow:
    """One row of the table.

    Attributes:
        data: Name of the data in the plan.
        recipe: Recipe, or several joined by ``+``.
        stream: Stream, or several joined by ``+``.
        split: Split, or ``all folds``.
        setting: Setting, or several joined by ``+``.
        fusion: Name of the fusion; empty for runs by themselves.
        planned: Number of seeds in the plan.
        done: Seeds that are included.
        problems: Failures and missing results, by run.
        run: The figures; None before any run has finished.
        weights: Weights of a fusion, a list for each seed (and fold).
        difference: Difference to the baseline; None for the baseline itself or without one.
    """

    data: str
    recipe: str
    stream: str
    split: str
    setting: str
    planned: int
    fusion: str = ""
    done: int = 0
    problems: Mapping[str, str] = field(default_factory=dict)
    run: ComparedRun | None = None
    weights: tuple[tuple[float, ...], ...] = ()
    difference: Difference | None = None

    @property
    def name(self) -> str:
        """A short description of the row."""
        pieces = (self.fusion, self.data, self.recipe, self.stream, self.split, self.setting)
        return " · ".join(piece for piece in pieces if piece)

    @property
    def remark(self) -> str:
        """Deviations from the plan; empty without any."""
        failed = {name: why for name, why in self.problems.items() if why}
        if failed:
            name, why = next(iter(failed.items()))
            return f"failed: {len(failed)} of {self.planned}, {name}: {why}"
        if self.done < self.planned:
            return f"{self.done} of {self.planned} done"
        return ""


@dataclass(frozen=True)
class StudyTable:
    """The results of a study.

    Attributes:
        name: Its name.
        summary: The question of the study.
        rows: The rows, those of one data set and split together.
        baseline: The run that others are compared with; empty for none.
    """

    name: str
    summary: str
    rows: tuple[StudyRow, ...]
    baseline: str = ""

    @property
    def synthetic(self) -> bool:
        """Whether any figure comes from clips that a program made."""
        return any(row.run is not None and row.run.synthetic for row in self.rows)

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers, texts, lists and dicts; None where a figure is not defined."""
        plain: dict[str, Any] = _plain(
            {
                "study": self.name,
                "summary": self.summary,
                "synthetic": self.synthetic,
                "baseline": self.baseline or None,
                "rows": [_entry(row) for row in self.rows],
            }
        )
        return plain


def make_table(study: Study) -> StudyTable:
    """The table of a study's results so far; nothing is run.

    Raises:
        ScoresError: Scores of a run are damaged.
        TrainingError: The records of a run are damaged.
    """
    plan = study.plan
    groups: dict[tuple[str, ...], list[StudyRun]] = {}
    for run in study.runs:
        groups.setdefault(run.group, []).append(run)
    rows = [_group_row(study, runs) for runs in groups.values()]
    rows += [_fused_row(study, fused) for fused in fuse_runs(study)]
    if plan.folds:
        rows += list(_over_folds(rows))
    order = {key: place for place, key in enumerate(dict.fromkeys(_place(row) for row in rows))}
    rows.sort(key=lambda row: order[_place(row)])
    rows, baseline = _compared(study, rows)
    return StudyTable(plan.name, plan.summary, tuple(rows), baseline)


def narrow_tables(table: StudyTable) -> list[tuple[list[str], list[tuple[str, ...]]]]:
    """The table split into narrower ones for a terminal: figures, differences, costs."""
    columns, rows = table_cells(table)
    shared = len(_naming(table))
    cuts = [columns.index("seeds") + 1, columns.index("minutes"), columns.index("memory") + 1]
    tables = []
    for low, high in pairwise([shared, *cuts]):
        if low < high:
            cut = [(*row[:shared], *row[low:high]) for row in rows]
            tables.append(([*columns[:shared], *columns[low:high]], cut))
    return tables


def _naming(table: StudyTable) -> list[str]:
    """The columns in which rows differ."""
    return [
        name
        for name in ("data", "recipe", "stream", "split", "setting", "fusion")
        if len({getattr(row, name) for row in table.rows}) > 1
    ] or ["recipe"]


def table_cells(table: StudyTable) -> tuple[list[str], list[tuple[str, ...]]]:
    """The table as text; of the columns that name a run, only those in which rows differ."""
    naming = _naming(table)
    figure = _headline(table)
    compared = [] if not table.baseline else ["against the baseline", "95 % of it", "p"]
    remarks = ["remark"] if any(row.remark for row in table.rows) else []
    columns = [*naming, figure, "95 %", "clips", "seeds", *compared, "minutes", "memory", *remarks]
    rows = []
    for row in table.rows:
        cells = [getattr(row, name) or NOTHING for name in naming] + _figures(row, figure)
        cells += _difference_cells(row) if compared else []
        rows.append((*cells, *_cost_cells(row), *([row.remark] if remarks else [])))
    return columns, rows


def markdown(table: StudyTable) -> str:
    """The table as Markdown, with a note if clips are synthetic."""
    columns, rows = table_cells(table)
    rule = ["---:" if name in _NUMBERS else "---" for name in columns]
    lines = [f"| {' | '.join(cells)} |" for cells in (columns, rule, *map(_escaped, rows))]
    notes = []
    if table.synthetic:
        notes.append("SYNTHETIC clips, made by a program: they say nothing about people.")
    if table.baseline:
        notes.append(f"Baseline: {table.baseline}. Points of top-1, paired on the same clips.")
    return "\n".join([*lines, *(f"\n{note}" for note in notes)]) + "\n"


def write_table(table: StudyTable, folder: Path) -> tuple[Path, Path]:
    """Write the table as Markdown and as JSON.

    Raises:
        OutputError: The folder cannot be written.
    """
    texts = {MARKDOWN: markdown(table), JSON: json.dumps(table.to_dict(), indent=2) + "\n"}
    for name, text in texts.items():
        with atomic_write(folder / name) as temporary:
            temporary.write_text(text, encoding="utf-8")
    return folder / MARKDOWN, folder / JSON


_NUMBERS: Final = frozenset(
    ("top-1", "clips", "seeds", "against the baseline", "p", "minutes", "memory")
)


def _group_row(study: Study, runs: Sequence[StudyRun]) -> StudyRow:
    """The runs that differ in their seed alone."""
    first = runs[0]
    row = StudyRow(*first.group, planned=len(runs))
    done, problems = [], {}
    for run in runs:
        if study.is_done(run):
            done.append(study.folder.run(run.name))
        else:
            problems[run.name] = noted_failure(study.folder.log(run.name))
    if not done:
        return replace(row, problems=problems)
    compared = read_seed_runs(done, row.name)
    return replace(row, done=len(done), problems=problems, run=compared)


def _fused_row(study: Study, fused: Fused) -> StudyRow:
    row = StudyRow(
        data=fused.data,
        recipe=fused.recipe,
        stream=fused.stream,
        split=fused.split,
        setting=fused.setting,
        fusion=fused.name,
        planned=fused.planned,
        done=len(fused.scores),
        problems=fused.problems,
        weights=fused.weights,
    )
    if not fused.scores:
        return row
    info = fused.scores[0].info
    run = ComparedRun(
        name=row.name,
        model=info.model,
        stream=info.stream,
        dataset=info.dataset,
        split=info.split,
        protocol=info.protocol,
        synthetic=any(scores.info.synthetic for scores in fused.scores),
        seeds=len(fused.scores),
        scores=fused.scores,
        figures=figures_of(fused.scores),
        cost=fused.cost,
    )
    return replace(row, run=run)


def _over_folds(rows: Sequence[StudyRow]) -> Iterator[StudyRow]:
    """A row over the folds of each kind of run; only seeds that have all folds count."""
    kinds: dict[tuple[str, ...], list[StudyRow]] = {}
    for row in rows:
        kind = (row.data, row.recipe, row.stream, row.setting, row.fusion)
        kinds.setdefault(kind, []).append(row)
    for folds in kinds.values():
        if len(folds) > 1:
            yield _pooled(folds)


def _pooled(folds: Sequence[StudyRow]) -> StudyRow:
    first = folds[0]
    problems = {name: why for row in folds for name, why in row.problems.items() if why}
    row = replace(
        first,
        split=ALL_FOLDS,
        done=0,
        run=None,
        problems=problems,
        weights=tuple(weights for each in folds for weights in each.weights),
    )
    complete = [each.run for each in folds if each.run and each.done == each.planned]
    if len(complete) < len(folds):
        return row
    try:
        scores = [_joined([run.scores[seed] for run in complete]) for seed in range(first.planned)]
    except (SkelabError, IndexError) as error:
        return replace(row, problems={**problems, "folds": f"not joined: {error}"})
    run = replace(
        complete[0],
        name=row.name,
        split=f"{len(folds)} folds",
        scores=tuple(scores),
        figures=figures_of(scores),
        histories=(),
        chosen_epochs=(),
        cost=_together([run.cost for run in complete]),
    )
    return replace(row, run=run, done=first.planned)


def _joined(folds: Sequence[Scores]) -> Scores:
    """The scores of all folds as those of one test part."""
    info = replace(folds[0].info, split=f"{len(folds)} folds", checkpoint="")
    return Scores.from_parts(folds, info=info)


def _together(costs: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """The cost of several runs: times add up, of the memory the highest counts."""
    seconds = [cost["seconds"] for cost in costs if "seconds" in cost]
    peaks = [cost["peak_memory_bytes"] for cost in costs if "peak_memory_bytes" in cost]
    return {
        **({"seconds": math.fsum(seconds)} if seconds else {}),
        **({"peak_memory_bytes": max(peaks)} if peaks else {}),
    }


def _compared(study: Study, rows: Sequence[StudyRow]) -> tuple[list[StudyRow], str]:
    """The rows with their differences to the baseline of the same data and split."""
    plan, base = study.plan, study.plan.baseline
    if base is None:
        return list(rows), ""
    streams = [str(stream) for stream in plan.streams]
    wanted = {
        "recipe": base.recipe or plan.recipes[0],
        "stream": str(base.stream) if base.stream else next(iter(streams), ""),
        "setting": base.setting or next(iter(plan.settings), ""),
    }
    baselines = {
        _place(row): row
        for row in rows
        if not row.fusion and all(not v or getattr(row, k) == v for k, v in wanted.items())
    }
    compared = []
    for row in rows:
        first = baselines.get(_place(row))
        if first is None or first is row or first.run is None or row.run is None:
            compared.append(row)
            continue
        found = compare_runs([replace(first.run, name="baseline"), row.run])
        compared.append(replace(row, difference=found.differences[0]))
    return compared, " · ".join(value for value in wanted.values() if value)


def _place(row: StudyRow) -> tuple[str, str]:
    return row.data, row.split


def _headline(table: StudyTable) -> str:
    """The main figure of the table: top-1, or the first metric of the task."""
    names = [name for row in table.rows if row.run for name in row.run.figures]
    return "top-1" if "top1" in names or not names else names[0]


def _figure(row: StudyRow, name: str) -> Figure | None:
    return row.run.figures.get("top1" if name == "top-1" else name) if row.run else None


def _figures(row: StudyRow, name: str) -> list[str]:
    figure = _figure(row, name)
    seeds = str(row.done) if row.done == row.planned else f"{row.done} of {row.planned}"
    if figure is None or row.run is None:
        return [NOTHING, NOTHING, NOTHING, seeds]
    share = name == "top-1"
    value = percent(figure.value) if share else f"{figure.value:.4g}"
    known = not math.isnan(figure.low)
    span = (
        f"{100 * figure.low:.1f} to {100 * figure.high:.1f}"
        if share
        else (f"{figure.low:.4g} to {figure.high:.4g}")
    )
    clips = str(len(row.run.scores[0])) if row.run.scores else NOTHING
    return [value, span if known else NOTHING, clips, seeds]


def _difference_cells(row: StudyRow) -> list[str]:
    found = row.difference
    if found is None or found.reason:
        return [NOTHING, NOTHING, NOTHING]
    return [
        points(found.difference),
        f"{points(found.low)} to {points(found.high)}",
        p_value(found.p_value).removeprefix("p ").removeprefix("= "),
    ]


def _cost_cells(row: StudyRow) -> list[str]:
    cost = row.run.cost if row.run else {}
    minutes = f"{cost['seconds'] / 60:.1f}" if "seconds" in cost else NOTHING
    peak = cost.get("peak_memory_bytes")
    return [minutes, NOTHING if peak is None else f"{peak / 2**20:,.0f} MiB"]


def _escaped(cells: Sequence[str]) -> list[str]:
    return [" ".join(cell.replace("|", "\\|").split()) for cell in cells]


def _entry(row: StudyRow) -> dict[str, Any]:
    run = row.run
    figures = {
        name: {"value": figure.value, "low": figure.low, "high": figure.high}
        for name, figure in (run.figures if run else {}).items()
    }
    cost = run.cost if run else {}
    return {
        **{
            name: getattr(row, name)
            for name in ("data", "recipe", "stream", "split", "setting", "fusion")
        },
        "seeds": row.planned,
        "done": row.done,
        "samples": len(run.scores[0]) if run and run.scores else None,
        "figures": figures,
        "weights": [list(weights) for weights in row.weights],
        "difference": row.difference
        and {**asdict(row.difference), "significant": row.difference.significant},
        "minutes": cost["seconds"] / 60 if "seconds" in cost else None,
        "peak_memory_bytes": cost.get("peak_memory_bytes"),
        "problems": dict(row.problems),
        "remark": row.remark,
    }


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _plain(entry) for name, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
