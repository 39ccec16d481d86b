"""`skelab demo`: the whole job on clips that it makes itself."""

import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from skelab.cli.output import print_table, progress, result, say
from skelab.cli.paths import named
from skelab.cli.watch import TrainingBar
from skelab.errors import OutputError

if TYPE_CHECKING:
    from skelab.data.clips.opened_clips import OpenedClips
    from skelab.recipes import Recipe
    from skelab.runs.anticipate import Anticipation

FAMILY, CARD = "ctrgcn", "8GB"
"""What is asked of this machine at the end, and of which card beside it."""


def demo(
    out: Annotated[
        Path,
        typer.Option("--out", help="Folder for everything it makes.", parser=named, metavar="PATH"),
    ] = Path("demo"),
    overrides: Annotated[
        list[str] | None, typer.Option("--set", help="Change the recipe, as in skelab train.")
    ] = None,
) -> None:
    """Do the whole job on SYNTHETIC clips: write, ingest, train, evaluate, anticipate, fit, report.

    It shows that everything works on this machine. The accuracy is that of a network on clips
    made by a program and says nothing about people.
    """
    from skelab.files.lock import hold_lock

    started = time.perf_counter()
    with hold_lock(out / ".lock", str(out), OutputError):
        made = _run(out, overrides or ())
    result(f"done in {time.perf_counter() - started:.0f} s; SYNTHETIC results")
    result(f"report: {made.resolve()}")


def _run(out: Path, overrides: Sequence[str]) -> Path:
    """The whole job in a folder; returns the report."""
    from skelab.evaluation import Scores, evaluate_scores
    from skelab.fit import fit
    from skelab.fit.section import fit_section
    from skelab.recipes import load_recipe
    from skelab.report import early_sections, summary_rows
    from skelab.runs.evaluate import evaluate_run
    from skelab.runs.synthetic import synthetic_store
    from skelab.runs.train import train_recipe

    run, early = _new_run(out / "run"), _new_run(out / "early")
    recipe = load_recipe("ctrgcn-demo", overrides)
    with progress("writing and reading SYNTHETIC clips") as bar:
        store = synthetic_store(out, on_progress=bar)
    say(f"{len(store):,} SYNTHETIC clips of {len(store.info.classes)} actions in {store.path}")
    with TrainingBar() as watcher:
        train_recipe(recipe, store, run, watcher=watcher)
    sections = []
    if recipe.task.name == "classification":
        anticipated = _anticipate(load_recipe("ctrgcn-demo-early", overrides), store, run, early)
        sections += early_sections(anticipated.curves)
    with progress("asking what this machine can train", unit="devices") as bar:
        fits = [fit([FAMILY])]
        bar(1, 2)
        fits.append(fit([FAMILY], vram=CARD))
        bar(2, 2)
    with progress("scoring") as bar:
        made = evaluate_run(run, store, sections=(*sections, fit_section(fits)), on_scored=bar)
    if isinstance(made.scores, Scores):
        rows = summary_rows(evaluate_scores(made.scores))
    else:
        rows = [(name, f"{value:.4g}", "") for name, value in made.scores.metrics.items()]
    title = f"{recipe.model.name} on SYNTHETIC clips, performers it has never seen"
    print_table(["figure", "value", "95 %"], rows, title=title, right="value")
    for answer in fits:
        result(f"can {answer.device['name']} train {FAMILY} on NTU RGB+D 60? {answer.answer}")
    return made.report_file


def _new_run(run: Path) -> Path:
    """The folder of a run, without the run of an earlier demo.

    Raises:
        OutputError: The folder holds something else.
    """
    if run.exists():
        if not (run / "recipe.yaml").is_file():
            raise OutputError(f"{run}: not a run of a demo; choose another folder with --out")
        shutil.rmtree(run)
    return run


def _anticipate(recipe: "Recipe", store: "OpenedClips", run: Path, early: Path) -> "Anticipation":
    """Teach the trained network to recognise actions early, and compare the two."""
    from skelab.cli.anticipate import print_accuracy
    from skelab.evaluation import EarlyProtocol
    from skelab.runs.anticipate import anticipate
    from skelab.runs.train import train_recipe
    from skelab.runs.transfer import open_weights

    say("the same network, taught to answer before the action is over:")
    with TrainingBar() as watcher:
        train_recipe(recipe, store, early, start=open_weights(run), watcher=watcher)
    with progress("scoring the beginnings of clips") as bar:
        made = anticipate([run, early], store, on_scored=bar)
    print_accuracy(made, EarlyProtocol.P1)
    return made
