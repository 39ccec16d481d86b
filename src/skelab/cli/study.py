"""`skelab study`: many runs as one plan."""

import shlex
import sys
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from skelab.cli.output import print_json, print_table, progress, result, say
from skelab.cli.paths import named
from skelab.errors import StudyError

if TYPE_CHECKING:
    from skelab.studies.engines.base import Engine
    from skelab.studies.study import Study

NUMBERS = "top-1,95 %,clips,seeds,against the baseline,95 % of it,p,minutes,memory"
"""Columns that are right-aligned and never wrapped."""

SOME_FAILED = 1
"""Exit status if some runs failed."""


class EngineChoice(StrEnum):
    """Where runs are carried out."""

    HERE = "here"
    SLURM = "slurm"


def study_command(
    plan: Annotated[Path, typer.Argument(help="Plan of the study, a YAML file.")],
    out: Annotated[
        Path,
        typer.Option(
            "--out",
            help="Folder of the study: its runs, stores and table.",
            parser=named,
            metavar="PATH",
        ),
    ],
    data: Annotated[
        Path | None,
        typer.Option("--data", help="Folder of the plan's data; the plan's own by default."),
    ] = None,
    jobs: Annotated[
        int | None, typer.Option("--jobs", min=1, help="Runs at a time; by GPUs or cores if unset.")
    ] = None,
    engine: Annotated[
        EngineChoice, typer.Option("--engine", help="Carry runs out here, or on a SLURM cluster.")
    ] = EngineChoice.HERE,
    yes: Annotated[bool, typer.Option("--yes", help="Carry out more than 100 runs.")] = False,
    table: Annotated[
        bool, typer.Option("--table", help="Print the table of what is there; run nothing.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the table as JSON.")] = False,
) -> None:
    """Run the remaining runs of a plan; fuse, compare, and print one table.

    A study that was stopped or killed is resumed by the same command. A run that
    fails is marked in the table; the others continue, and the exit status is 1.
    """
    from skelab.studies.study import check_size, open_study

    study = open_study(plan, out)
    if table:
        _print_only(study, as_json)
        return
    if study.plan.search:
        from skelab.studies.search import check_optuna

        check_optuna()
    if not yes and sys.stdin.isatty() and _is_large(study):
        yes = typer.confirm(f"{plan}: carry out {study.plan.num_runs:,} runs?", err=True)
    check_size(study.plan, plan, agreed=yes)

    try:
        failed = _carry_out(study, _engine(study, engine, jobs), data)
    except KeyboardInterrupt:
        chosen = None if engine is EngineChoice.HERE else engine.value
        options = {"--data": data, "--jobs": jobs, "--engine": chosen}
        more = [str(w) for name, value in options.items() if value for w in (name, value)]
        words = ["skelab", "study", str(plan), "--out", str(out), *more]
        say(f"the study was stopped; it goes on with: {shlex.join(words)}")
        raise
    if study.plan.search:
        _print_search(study, as_json)
        return
    _print_table(study, as_json)
    if failed:
        names = ", ".join(failed)
        say(f"{len(failed)} of {study.plan.num_runs:,} runs failed: {names}")
        raise typer.Exit(SOME_FAILED)


def _is_large(study: "Study") -> bool:
    from skelab.studies.study import ASK_ABOVE

    return study.plan.num_runs > ASK_ABOVE


def _engine(study: "Study", choice: EngineChoice, jobs: int | None) -> "Engine":
    if choice is EngineChoice.SLURM:
        from skelab.studies.engines.slurm import Cluster

        return Cluster(study.folder.path / "slurm", study.plan.slurm, at_once=jobs)

    from skelab.studies.engines.here import Here, share_machine

    shares = share_machine(jobs)
    say(f"runs are carried out here, {shares.title}")
    return Here(shares)


def _carry_out(study: "Study", engine: "Engine", data: Path | None) -> Mapping[str, str]:
    """Carry the study out, with a bar on stderr."""
    from skelab.studies.study import carry_out

    if study.plan.search:
        from skelab.studies.search import carry_out_search

        with progress(study.plan.name, "trials") as bar:
            carry_out_search(study, engine, data=data, on_message=bar.say, on_progress=bar)
        return {}
    with progress(study.plan.name, "runs") as bar:
        return carry_out(study, engine, data=data, on_message=bar.say, on_progress=bar)


def _print_only(study: "Study", as_json: bool) -> None:
    """The table of what is there, as Markdown; nothing is run or written."""
    from skelab.studies.table import make_table, markdown

    if not study.folder.path.is_dir():
        raise StudyError(f"{study.folder.path}: there is no study yet; without --table it begins")
    if study.plan.search:
        _print_search(study, as_json)
        return
    made = make_table(study)
    if as_json:
        print_json(made.to_dict())
    else:
        result(markdown(made).rstrip())


def _print_table(study: "Study", as_json: bool) -> None:
    from skelab.studies.page import write_study_page
    from skelab.studies.table import make_table, narrow_tables, write_table

    made = make_table(study)
    files = [*write_table(made, study.folder.path), write_study_page(made, study.folder.path)]
    if as_json:
        print_json({**made.to_dict(), "files": [str(file) for file in files]})
        return
    title = f"{made.name} (SYNTHETIC clips)" if made.synthetic else made.name
    for columns, rows in narrow_tables(made):
        print_table(columns, rows, title=title, right=NUMBERS, whole=NUMBERS)
        title = ""
    for row in made.rows:
        if row.remark:
            say(f"{row.name}: {row.remark}")
    if made.baseline:
        result(f"baseline {made.baseline}")
    for file in files:
        result(f"wrote {file}")


def _print_search(study: "Study", as_json: bool) -> None:
    """The trials of a search, and the best of them."""
    from skelab.studies.search import search_result

    found = search_result(study)
    if as_json:
        print_json(found.to_dict())
        return
    columns, rows = found.cells()
    print_table(columns, rows, title=f"{found.name}, judged on the validation part alone")
    result(found.verdict)
