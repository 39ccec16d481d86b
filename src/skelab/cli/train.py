"""`skelab train`: a recipe and clips become a run folder with a trained network."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from skelab.cli.data import Ignore, LayoutName, Names, open_data
from skelab.cli.output import print_json, print_pairs, progress, result, say
from skelab.cli.watch import TrainingBar


def train(
    recipe: Annotated[str, typer.Argument(help="Recipe by name (skelab recipes), or a YAML file.")],
    out: Annotated[Path, typer.Option("--out", help="Folder of the run.")],
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
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with a run that was stopped.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Train a network; checkpoints, metrics and the resolved recipe go to the run folder."""
    from skelab.config import load_recipe

    loaded = load_recipe(recipe, overrides or ())

    from skelab.data.opened import OpenedClips
    from skelab.experiment.synthetic import synthetic_store
    from skelab.experiment.train import train_recipe, use_given_split
    from skelab.training.history import read_history

    store: OpenedClips
    if data is None:
        with progress("making synthetic clips") as bar:
            store = synthetic_store(out / "synthetic", on_progress=bar)
    else:
        store = open_data(data, names, ignore, layout)
    if not any(override.startswith("data.split=") for override in overrides or ()):
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
    with TrainingBar() as watcher:
        checkpoint = train_recipe(loaded, store, out, resume=resume, watcher=watcher)
    last = read_history(out)[-1]
    if as_json:
        print_json({"run": str(out), "epoch": checkpoint.epoch, "synthetic": synthetic, **last})
        return
    print_pairs(_summary(out, checkpoint.epoch, last, synthetic))
    result(f"next: skelab evaluate {out} --data {data or store.path}")


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
