"""The fusions of a study: scores of runs that differ in stream, recipe or setting."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from skelab.errors import ScoresError
from skelab.evaluation import (
    Scores,
    authors_weights,
    check_validation_of,
    fit_weights,
    fuse,
    load_any_scores,
)
from skelab.evaluation.score_files import TEST_SCORES, VALIDATION_SCORES
from skelab.runs.compare import training_cost
from skelab.studies.grid import StudyRun
from skelab.studies.plan import Fusion
from skelab.studies.study import Study
from skelab.training.records import read_history


@dataclass(frozen=True)
class Fused:
    """The runs of one data set and split, fused seed by seed.

    Attributes:
        name: Name of the fusion in the plan.
        data: Name of the data.
        split: The split.
        recipe: The recipes, joined by ``+``.
        stream: The streams, joined by ``+``.
        setting: The settings, joined by ``+``.
        planned: Number of seeds in the plan.
        scores: Fused scores, one per seed that is complete.
        weights: The weights of each.
        problems: Why a seed could not be fused, by name; empty if its runs are not finished.
        cost: Training time of one seed in seconds, and the peak memory.
    """

    name: str
    data: str
    split: str
    recipe: str
    stream: str
    setting: str
    planned: int
    scores: tuple[Scores, ...] = ()
    weights: tuple[tuple[float, ...], ...] = ()
    problems: Mapping[str, str] = field(default_factory=dict)
    cost: Mapping[str, float] = field(default_factory=dict)


def fuse_runs(study: Study) -> list[Fused]:
    """All fusions of a study whose runs are finished."""
    return [
        _fused(study, name, fusion, members)
        for name, fusion in study.plan.fuse.items()
        for members in _members(study.runs, fusion)
    ]


def _members(runs: Sequence[StudyRun], fusion: Fusion) -> Iterator[list[StudyRun]]:
    """The runs of a fusion, all seeds; one list per value of each field that it does not list."""
    listed = {
        "recipe": fusion.recipes,
        "stream": tuple(str(stream) for stream in fusion.streams),
        "setting": fusion.settings,
    }
    groups: dict[tuple[str, ...], list[StudyRun]] = {}
    for run in runs:
        if all(getattr(run, key) in values for key, values in listed.items() if values):
            free = [getattr(run, key) for key, values in listed.items() if not values]
            groups.setdefault((run.data, run.split, *free), []).append(run)

    def place(run: StudyRun) -> tuple[int, ...]:
        return tuple(values.index(getattr(run, key)) for key, values in listed.items() if values)

    for members in groups.values():
        yield sorted(members, key=lambda run: (run.seed, place(run)))


def _fused(study: Study, name: str, fusion: Fusion, members: Sequence[StudyRun]) -> Fused:
    seeds = list(dict.fromkeys(run.seed for run in members))
    scores, weights, costs = [], [], []
    problems = {}
    for seed in seeds:
        own = [run for run in members if run.seed == seed]
        missing = [run.name for run in own if not study.is_done(run)]
        if missing:
            problems[f"seed {seed}"] = ""
            continue
        try:
            fused, used = _fuse_seed(study, fusion, own)
        except ScoresError as error:
            problems[f"seed {seed}"] = f"not fused: {error}"
            continue
        scores.append(fused)
        weights.append(used)
        histories = [read_history(study.folder.run(run.name)) for run in own]
        mean = training_cost(histories)
        costs.append({**mean, "seconds": mean.get("seconds", math.nan) * len(own)})
    first = members[0]
    return Fused(
        name=name,
        data=first.data,
        split=first.split,
        recipe=_plus(run.recipe for run in members),
        stream=_plus(run.stream for run in members),
        setting=_plus(run.setting for run in members),
        planned=len(seeds),
        scores=tuple(scores),
        weights=tuple(weights),
        problems=problems,
        cost=_mean_cost(costs),
    )


def _fuse_seed(
    study: Study, fusion: Fusion, runs: Sequence[StudyRun]
) -> tuple[Scores, tuple[float, ...]]:
    """The fused scores of one seed, and the weights.

    Raises:
        ScoresError: The scores do not fit each other, or are of a task without classes.
    """
    folders = [study.folder.run(run.name) for run in runs]
    scores = [_with_classes(load_any_scores(folder / TEST_SCORES)) for folder in folders]
    if fusion.weights == "equal":
        used = (1.0,) * len(scores)
    elif fusion.weights == "authors":
        used = authors_weights([each.info.stream for each in scores])
    elif fusion.weights == "fitted":
        validation = [Scores.load(folder / VALIDATION_SCORES) for folder in folders]
        for each, entry in zip(scores, validation, strict=True):
            check_validation_of(each, entry)
        used = fit_weights(validation)
    else:
        used = fusion.weights
    return fuse(scores, used), used


def _with_classes(scores: object) -> Scores:
    if not isinstance(scores, Scores):
        raise ScoresError("expected scores of classes to fuse, found those of another task")
    return scores


def _mean_cost(costs: Sequence[Mapping[str, float]]) -> dict[str, float]:
    if not costs:
        return {}
    seconds = [cost["seconds"] for cost in costs if not math.isnan(cost["seconds"])]
    peaks = [cost["peak_memory_bytes"] for cost in costs if "peak_memory_bytes" in cost]
    return {
        **({"seconds": math.fsum(seconds) / len(seconds)} if seconds else {}),
        **({"peak_memory_bytes": max(peaks)} if peaks else {}),
    }


def _plus(words: Iterator[str]) -> str:
    return "+".join(dict.fromkeys(word for word in words if word))
