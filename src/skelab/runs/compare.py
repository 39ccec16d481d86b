"""Reads run folders and score files for a comparison."""

import math
import shlex
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from skelab.errors import RecipeError, ScoresError
from skelab.evaluation import OutputScores, Scores, headline_figures, load_any_scores
from skelab.evaluation.score_files import TEST_SCORES
from skelab.files.strict_yaml import YamlFaultError, parse_yaml, read_yaml_text
from skelab.inference.places import RECIPE
from skelab.report import ComparedRun, Figure, RunComparison, compare_runs
from skelab.runs.places import check_comparable
from skelab.runs.progress import find_seed_runs
from skelab.runs.seeds import mean_over_seeds
from skelab.tasks import DEFAULT_TASK, Task, get_task
from skelab.training.records import read_environment, read_history
from skelab.training.trackers import flatten_settings


def compare_paths(paths: Sequence[Path]) -> RunComparison:
    """Compare runs or score files with the first of them.

    Args:
        paths: Run folders, those of several seeds too, or score files (npz).

    Raises:
        ScoresError: A path is neither a run nor scores, is given twice, or its scores are damaged.
        RecipeError: The recipe of a run is damaged.
        TrainingError: The records of a run are damaged.
    """
    places = [path.resolve() for path in paths]
    for number, place in enumerate(places):
        if place in places[:number]:
            raise ScoresError(f"{paths[number]}: is given twice; give each run once")
    names = _names(places)
    return compare_runs([read_run(path, name) for path, name in zip(paths, names, strict=True)])


def read_run(path: Path, name: str) -> ComparedRun:
    """One run, or one score file, under a name.

    Raises:
        ScoresError: The path is neither a run nor scores, or its scores are damaged.
        RecipeError: The recipe is damaged.
        TrainingError: The records are damaged.
    """
    check_comparable(path)
    if path.is_file():
        return _of_scores(name, load_any_scores(path))
    if (path / RECIPE).is_file():
        return _of_run(path, name)
    return _of_scores(name, load_any_scores(path / TEST_SCORES))


def _of_scores(name: str, scores: Scores | OutputScores) -> ComparedRun:
    info = scores.info
    return ComparedRun(
        name=name,
        model=info.model,
        stream=info.stream,
        dataset=info.dataset,
        split=info.split,
        protocol=info.protocol,
        synthetic=info.synthetic,
        scores=_with_classes([scores]),
        figures=figures_of([scores]),
    )


def read_seed_runs(folders: Sequence[Path], name: str) -> ComparedRun:
    """Runs that differ only in their seed, as one named run.

    Raises:
        ScoresError: The scores of a run are damaged.
        RecipeError: The recipe of the first is damaged.
        TrainingError: The records of a run are damaged.
    """
    return _of_run(folders[0], name, folders)


def _of_run(path: Path, name: str, seeds: Sequence[Path] = ()) -> ComparedRun:
    recipe = flatten_settings(_read_recipe(path / RECIPE))
    data = read_environment(path).get("data", {})
    folders = seeds or find_seed_runs(path) or [path]
    if len(folders) > 1 and not data:
        data = read_environment(folders[0]).get("data", {})
    scored = [folder for folder in folders if (folder / TEST_SCORES).is_file()]
    scores = [load_any_scores(folder / TEST_SCORES) for folder in scored]
    histories = tuple(
        [{**record, "epoch": record["epoch"] + 1} for record in records]
        for folder in folders
        if (records := read_history(folder))
    )
    # The scores take precedence over the recipe: --split may have named another split.
    info = scores[0].info if scores else None
    return ComparedRun(
        name=name,
        model=str(recipe.get("model.name", "")),
        stream=str(recipe.get("data.stream", "")),
        dataset=info.dataset if info else str(data.get("dataset", "")),
        split=info.split if info else str(recipe.get("data.split", "")),
        protocol=info.protocol if info else str(recipe.get("protocol", "")),
        synthetic=bool(data.get("synthetic")) or any(each.info.synthetic for each in scores),
        seeds=len(folders),
        scores=_with_classes(scores),
        figures=figures_of(scores),
        histories=histories,
        chosen_epochs=tuple(_chosen_epoch(records, recipe) for records in histories),
        planned_epochs=_whole(recipe.get("training.epochs")),
        cost=training_cost(histories),
        recipe=recipe,
        remedy=_remedy(path, folders, scored, histories),
    )


def _with_classes(scores: Sequence[Scores | OutputScores]) -> tuple[Scores, ...]:
    """The scores of classification tasks."""
    return tuple(each for each in scores if isinstance(each, Scores))


def figures_of(scores: Sequence[Scores | OutputScores]) -> dict[str, Figure]:
    """Figures of scores, one per seed; the interval of one is over clips, of several over seeds."""
    if not scores:
        return {}
    found = [headline_figures(each) for each in scores]
    if len(found) == 1:
        return {name: Figure(each.value, each.low, each.high) for name, each in found[0].items()}
    figures = {}
    for name, first in found[0].items():
        mean = mean_over_seeds([each[name].value for each in found])
        figures[name] = Figure(mean.mean, mean.low, mean.high)
        if first.is_share:
            # Student's interval ignores the bounds of a share, so it is clipped.
            figures[name] = Figure(mean.mean, max(mean.low, 0.0), min(mean.high, 1.0))
    return figures


def training_cost(histories: Sequence[Sequence[Mapping[str, Any]]]) -> dict[str, float]:
    """Training costs: means over the seeds, but the maximum for memory."""
    seconds = [_recorded(records, "seconds") for records in histories]
    waits = [_recorded(records, "data_seconds") for records in histories]
    speeds = [_recorded(records, "clips_per_second") for records in histories]
    peaks = [value for records in histories for value in _recorded(records, "peak_memory_bytes")]
    times = [math.fsum(each) for each in seconds if each]
    cost = {}
    if times:
        cost["seconds"] = statistics.fmean(times)
    if times and any(waits):
        cost["data_share"] = math.fsum(map(math.fsum, waits)) / max(math.fsum(times), 1e-9)
    if any(speeds):
        cost["clips_per_second"] = statistics.fmean(
            statistics.median(each) for each in speeds if each
        )
    if peaks:
        cost["peak_memory_bytes"] = max(peaks)
    return cost


def _recorded(records: Sequence[Mapping[str, Any]], column: str) -> list[float]:
    values = [record.get(column) for record in records]
    return [
        float(value) for value in values if isinstance(value, int | float) and math.isfinite(value)
    ]


def _chosen_epoch(records: Sequence[Mapping[str, Any]], recipe: Mapping[str, Any]) -> int | None:
    """The chosen epoch of a run, counted from 1: the first of the best, or the last.

    An unfinished run without validation has none yet.
    """
    choice = _task(recipe).choice
    column, best = f"validation_{choice.metric}", None
    chosen = None
    for record in records:
        value = record.get(column)
        if value is not None and choice.prefers(float(value), best):
            chosen, best = int(record["epoch"]), float(value)
    if chosen is not None:
        return chosen
    last = int(records[-1]["epoch"])
    return last if last == recipe.get("training.epochs") else None


def _task(recipe: Mapping[str, Any]) -> Task:
    """The task of a recipe by dotted key; classification where it names none.

    Raises:
        TaskError: The task is not known here.
    """
    options = {
        key.removeprefix("task."): value for key, value in recipe.items() if key.startswith("task.")
    }
    return get_task(str(options.pop("name", DEFAULT_TASK)), options)


def _remedy(
    path: Path,
    folders: Sequence[Path],
    scored: Sequence[Path],
    histories: Sequence[Sequence[Mapping[str, Any]]],
) -> str:
    """The command that computes missing scores; "" if none are missing."""
    if len(scored) == len(folders):
        return ""
    made = path / "synthetic" / "synthetic.arrow"
    store = str(made) if made.is_file() else "STORE"
    if not histories:
        command = ["train", "RECIPE", "--data", store, "--out", str(path), "--resume"]
        return f"not trained yet: skelab {shlex.join(command)}"
    missing = f"{len(folders) - len(scored)} of {len(folders)} seeds " if len(folders) > 1 else ""
    command = ["evaluate", str(path), "--data", store]
    return f"{missing}never evaluated: skelab {shlex.join(command)}"


def _names(places: Sequence[Path]) -> list[str]:
    """The shortest distinct ends of the paths."""
    for length in range(1, max((len(place.parts) for place in places), default=1) + 1):
        # Names that occur in every run folder need the folder to be distinct.
        plain = [place.name == TEST_SCORES or place.name.startswith("seed-") for place in places]
        names = [
            "/".join(place.parts[-length - more :])
            for place, more in zip(places, plain, strict=True)
        ]
        if len(set(names)) == len(names):
            return names
    return [str(place) for place in places]


def _read_recipe(path: Path) -> Mapping[str, Any]:
    """The recipe as it was written; keys unknown to this release are no error."""
    try:
        recipe = parse_yaml(read_yaml_text(path, f"{path}: the recipe", RecipeError))
    except YamlFaultError as error:
        raise RecipeError(f"{path}: the recipe cannot be read: {error.reason}") from None
    if not isinstance(recipe, Mapping):
        raise RecipeError(f"{path}: expected a recipe, found {type(recipe).__name__}")
    return recipe


def _whole(value: Any) -> int | None:
    return value if isinstance(value, int) else None
