"""`skelab train`: a recipe and clips become a run folder with a trained network."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from skelab.cli.data import Ignore, LayoutName, Names, NoAnatomyCheck, check_data, open_data
from skelab.cli.output import QUIET, next_command, print_json, print_pairs, progress, result, say
from skelab.cli.paths import named
from skelab.cli.watch import TrainingBar
from skelab.errors import RecipeError

if TYPE_CHECKING:
    pass


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
    start: Annotated[
        Path | None,
        typer.Option("--from", help="Run or checkpoint whose trained weights it starts from."),
    ] = None,
    freeze: Annotated[
        list[str] | None,
        typer.Option("--freeze", help="Parameters to keep as they are: a pattern, say backbone."),
    ] = None,
    side_car: Annotated[
        Path | None,
        typer.Option(
            "--side-car",
            help="Side-car store of `skelab features`, fused as the recipe says (fusion.kind).",
        ),
    ] = None,
    names: Names = None,
    ignore: Ignore = None,
    layout: LayoutName = None,
    no_anatomy_check: NoAnatomyCheck = False,
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
    log_draws: Annotated[
        Path | None,
        typer.Option("--log-draws", help="Write what augmentation draws to this file, JSON lines."),
    ] = None,
    verbose: Annotated[
        bool, typer.Option("--verbose", help="With --from, tell what became of each tensor.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Train a network; checkpoints, metrics and the resolved recipe go to the run folder."""
    from skelab.models import get_card
    from skelab.recipes import load_recipe
    from skelab.runs.places import check_run_folder

    if freeze:
        overrides = [*(overrides or ()), f"transfer.freeze={json.dumps(freeze)}"]
    if side_car is not None:
        overrides = [f"fusion.side_car={json.dumps(str(side_car))}", *(overrides or ())]
    overrides = [*(overrides or ()), *(_half_precision(overrides or ()) if half else ())]
    loaded = load_recipe(recipe, overrides)
    out = out or Path("runs") / loaded.name
    if not QUIET:  # of several processes the first may have begun the run by now
        check_run_folder(out, resume=resume)
    get_card(loaded.model.name)
    check_data(data)

    from skelab.data.clips.opened_clips import OpenedClips
    from skelab.data.feeding import open_draw_log
    from skelab.inference.checkpoint import read_checkpoint
    from skelab.runs.parts import use_given_split
    from skelab.runs.seeds import train_seeds
    from skelab.runs.synthetic import synthetic_store
    from skelab.runs.transfer import open_weights, with_source
    from skelab.tasks import clips_of, get_task
    from skelab.training.processes import Processes
    from skelab.training.records import read_history
    from skelab.training.trackers import check_trackers

    trackers = track or ()
    check_trackers(trackers)
    draw_log = open_draw_log(log_draws, resume=resume) if log_draws else None
    weights = None
    if start is not None and resume and not start.exists():
        say(f"{start} is not there any more; the run goes on without it")
    elif start is not None:
        weights = open_weights(start)
    if not resume:
        with_source(loaded, weights)  # refused before any clip is read
    store: OpenedClips
    if data is None:
        with progress("making synthetic clips") as bar, Processes().first_before_others():
            store = synthetic_store(out / "synthetic", on_progress=bar)
    else:
        store = open_data(data, names, ignore, layout, anatomy_check=not no_anatomy_check)
    task = get_task(loaded.task.name, loaded.task.options)
    store = clips_of(task, store, loaded.data.feeder)
    if not any(override.startswith("data.split=") for override in overrides):
        loaded, why = use_given_split(loaded, store)
        if why:
            say(why)
    synthetic = store.info.synthetic
    say(f"{loaded.name}: {len(store):,} {'SYNTHETIC ' if synthetic else ''}clips, run in {out}")
    with TrainingBar(verbose=verbose) as watcher:
        folders = train_seeds(
            loaded,
            store,
            out,
            resume=resume,
            watcher=watcher,
            trackers=trackers,
            draw_log=draw_log,
            start=weights,
        )
    following = next_command("evaluate", out, "--data", data or store.path)
    if folders != [out]:
        if as_json:
            print_json({"run": str(out), "seeds": [str(folder) for folder in folders]})
        else:
            result(f"{len(folders)} runs in {out}")
            result(following)
        return
    epoch, last = read_checkpoint(out).epoch, read_history(out)[-1]
    if as_json:
        print_json({"run": str(out), "epoch": epoch, "synthetic": synthetic, **last})
        return
    print_pairs(_summary(out, epoch, last, synthetic))
    result(following)


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
        "training": f"{_metrics(last, 'train')}loss {last['train_loss']:.3f}{label}",
    }
    if found := _metrics(last, "validation").removesuffix(", "):
        part = "test" if last.get("chosen_on_test") else "validation"
        pairs[part] = f"{found} in the last epoch{label}"
        if part == "test":
            pairs["protocol"] = "paper: the test part chose the epoch, so its figures are no test"
    pairs["speed"] = f"{last['clips_per_second']:.1f} clips/s in the last epoch"
    return pairs


def _metrics(record: Mapping[str, int | float], part: str) -> str:
    """The metrics of a part in the record of an epoch, each followed by a comma; no loss."""
    found = {
        column.removeprefix(f"{part}_"): value
        for column, value in record.items()
        if column.startswith(f"{part}_")
    }
    return "".join(
        f"top-1 {value:.2%}, " if name == "top1" else f"{name.replace('_', ' ')} {value:.4g}, "
        for name, value in found.items()
        if name != "loss"
    )
