"""`skelab train`: a recipe and clips become a run folder with a trained network."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer

from skelab.cli.data import Ignore, LayoutName, Names, open_data
from skelab.cli.output import print_json, print_pairs, progress, result, say
from skelab.cli.paths import named
from skelab.cli.watch import TrainingBar
from skelab.errors import RecipeError


def train(
    recipe: Annotated[str, typer.Argument(help="Recipe by name (skelab recipes), or a YAML file.")],
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", help="Folder of the run; runs/NAME by default.", parser=named, metavar="PATH"
        ),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option("--data", help="Clip store or npz; without it, synthetic clips are made."),
    ] = None,
    names: Names = None,
    ignore: Ignore = None,
    layout: LayoutName = None,
    overrides: Annotated[
        list[str] | None,
        typer.Option("--set", help="Change the recipe: KEY=VALUE, say training.epochs=3."),
    ] = None,
    half: Annotated[
        bool,
        typer.Option("--half", help="Half precision: Apex O1 where installed, else PyTorch's."),
    ] = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with a run that was stopped.")
    ] = False,
    track: Annotated[
        list[str] | None,
        typer.Option("--track", help="Show each epoch to a tracker too: wandb, mlflow."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Train a network; checkpoints, metrics and the resolved recipe go to the run folder."""
    from skelab.recipes import load_recipe

    overrides = [*(overrides or ()), *(_half_precision(overrides or ()) if half else ())]
    loaded = load_recipe(recipe, overrides)
    out = out or Path("runs") / loaded.name

    from skelab.data.opened import OpenedClips
    from skelab.runs.seeds import train_seeds
    from skelab.runs.synthetic import synthetic_store
    from skelab.runs.train import train_recipe, use_given_split
    from skelab.training.history import read_history
    from skelab.training.processes import Processes
    from skelab.training.trackers import check_trackers

    trackers = track or ()
    check_trackers(trackers)
    store: OpenedClips
    if data is None:
        with progress("making synthetic clips") as bar, Processes().first_before_others():
            store = synthetic_store(out / "synthetic", on_progress=bar)
    else:
        store = open_data(data, names, ignore, layout)
    if not any(override.startswith("data.split=") for override in overrides):
        usual, loaded = loaded, use_given_split(loaded, store)
        if loaded is not usual:
            say(
                f"{store.path}: the clips lack what split {usual.data.split} goes by: the parts"
                " of the file itself are taken, nothing is held out for validation, and the last"
                " epoch counts;"
                " --names would tell who is who"
            )
    synthetic = store.info.synthetic
    say(f"{loaded.name}: {len(store):,} {'SYNTHETIC ' if synthetic else ''}clips, run in {out}")
    if loaded.seeds > 1:
        with TrainingBar() as watcher:
            folders = train_seeds(
                loaded, store, out, resume=resume, watcher=watcher, trackers=trackers
            )
        if as_json:
            print_json({"run": str(out), "seeds": [str(folder) for folder in folders]})
            return
        result(f"{len(folders)} runs in {out}")
        result(f"next: skelab evaluate {out} --data {data or store.path}")
        return
    with TrainingBar() as watcher:
        checkpoint = train_recipe(
            loaded, store, out, resume=resume, watcher=watcher, trackers=trackers
        )
    last = read_history(out)[-1]
    if as_json:
        print_json({"run": str(out), "epoch": checkpoint.epoch, "synthetic": synthetic, **last})
        return
    print_pairs(_summary(out, checkpoint.epoch, last, synthetic))
    result(f"next: skelab evaluate {out} --data {data or store.path}")


def _half_precision(overrides: Sequence[str]) -> list[str]:
    """What ``--half`` sets on this machine; says which, and why."""
    if any(override.startswith("precision=") for override in overrides):
        raise RecipeError("--half and --set precision=... both say the precision: give one of them")

    from skelab.training.precision import half_precision

    precision, why = half_precision()
    say(f"--half: precision {why}")
    return [f"precision={precision.value}"]


def _summary(
    out: Path, epoch: int, last: Mapping[str, int | float], synthetic: bool
) -> dict[str, str]:
    label = " on SYNTHETIC clips" if synthetic else ""
    pairs = {
        "network": f"{out / 'checkpoints' / 'best.safetensors'} (epoch {epoch})",
        "training": f"top-1 {last['train_top1']:.2%}, loss {last['train_loss']:.3f}{label}",
    }
    if "validation_top1" in last:
        pairs["validation"] = f"top-1 {last['validation_top1']:.2%} in the last epoch{label}"
    pairs["speed"] = f"{last['clips_per_second']:.1f} clips/s in the last epoch"
    return pairs
