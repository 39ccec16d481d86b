"""`skelab evaluate`: a trained network becomes scores, figures and a report."""

from collections.abc import Mapping
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from skelab.cli.data import Ignore, LayoutName, Names, NoAnatomyCheck, check_data, open_data
from skelab.cli.networks import EngineName, Trust
from skelab.cli.output import print_json, print_table, progress, result, say
from skelab.cli.paths import named
from skelab.errors import NetworkError

if TYPE_CHECKING:
    from skelab.evaluation import OutputScores, Scores, ScoresInfo
    from skelab.runs.evaluate import EvaluationResult
    from skelab.runs.stress import StressResult


class SplitPart(StrEnum):
    """SplitPart of a split."""

    TEST = "test"
    VALIDATION = "validation"
    TRAIN = "train"


def evaluate(
    network: Annotated[
        Path, typer.Argument(help="Run folder, checkpoint, or .onnx, .xml, .pt2 of skelab export.")
    ],
    data: Annotated[Path, typer.Option("--data", help="Clip store or npz.")],
    split: Annotated[str | None, typer.Option(help="Protocol; the recipe's by default.")] = None,
    part: Annotated[SplitPart, typer.Option(help="Part of the split.")] = SplitPart.TEST,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Folder for scores and report; the network's by default.",
            parser=named,
            metavar="PATH",
        ),
    ] = None,
    side_car: Annotated[
        Path | None,
        typer.Option("--side-car", help="Side-car store; that of training by default."),
    ] = None,
    engine: EngineName = None,
    trust: Trust = False,
    stress: Annotated[
        bool,
        typer.Option("--stress", help="Accuracy under nine kinds of stress, at five strengths."),
    ] = False,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed of the stress.")] = 0,
    test_clips: Annotated[
        int,
        typer.Option(
            min=1, max=100, help="Average so many samplings of each clip, as PYSKL does with 10."
        ),
    ] = 1,
    mirrored: Annotated[
        bool, typer.Option("--mirrored", help="Average the mirror images, too.")
    ] = False,
    names: Names = None,
    ignore: Ignore = None,
    layout: LayoutName = None,
    no_anatomy_check: NoAnatomyCheck = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
) -> None:
    """Score a network on one part of a split; write scores and report, print the figures."""
    from skelab.inference.places import check_network

    check_data(data)
    check_network(network)

    from skelab.evaluation import OutputScores
    from skelab.inference.network import ClipSampling
    from skelab.runs.evaluate import evaluate_run
    from skelab.runs.progress import find_seed_runs

    store = open_data(data, names, ignore, layout, anatomy_check=not no_anatomy_check)
    shown = ClipSampling(test_clips, mirrored)
    seeds = find_seed_runs(network)
    if seeds and stress:
        raise NetworkError(
            f"{network}: holds runs of several seeds; --stress takes one, say {seeds[0]}"
        )
    if seeds:
        results = {}
        for folder in seeds:
            into = out / folder.name if out else None
            with progress(f"scoring {folder.name}") as bar:
                results[folder.name] = evaluate_run(
                    folder,
                    store,
                    split=split,
                    part=part,
                    engine=engine,
                    out=into,
                    side_car=side_car,
                    test_clips=shown,
                    on_scored=bar,
                )
        _print_seeds(results, as_json)
        for made in results.values():
            _print_controls(made, as_json)
        return
    stressed = None
    if stress:
        from skelab.runs.stress import stress_network, stress_section, write_stress

        with progress("under stress", "passes") as bar:
            stressed = stress_network(
                network,
                store,
                split=split,
                part=part,
                engine=engine,
                trust=trust,
                seed=seed,
                on_scored=bar,
            )
    with progress("scoring") as bar:
        made = evaluate_run(
            network,
            store,
            split=split,
            part=part,
            engine=engine,
            trust=trust,
            out=out,
            test_clips=shown,
            sections=(stress_section(stressed),) if stressed else (),
            side_car=side_car,
            on_scored=bar,
        )
    if stressed:
        name = made.scores_file.stem.replace("scores", "stress", 1)
        file = write_stress(stressed, made.scores_file.with_name(f"{name}.json"))
        _print_stress(stressed, file, as_json)
        if as_json:
            return
    if made.unfinished:
        say(f"warning: {made.unfinished}")
    if isinstance(made.scores, OutputScores):
        _print_metrics(made, made.scores, as_json)
    else:
        _print_evaluation(made, made.scores, as_json)
        _print_controls(made, as_json)


def _print_controls(made: "EvaluationResult", as_json: bool) -> None:
    """The fused network beside its controls; in JSON they are a part of the result."""
    if made.controls is not None and not as_json:
        columns, rows = made.controls.cells()
        label = "SYNTHETIC, " if made.scores.info.synthetic else ""
        print_table(columns, rows, title=f"{label}{made.controls.title}", right="top-1")


def _print_stress(stressed: "StressResult", file: Path, as_json: bool) -> None:
    """The accuracy under each kind of stress."""
    if as_json:
        print_json({**stressed.to_dict(), "files": {"stress": str(file)}})
        return
    columns, rows = stressed.cells()
    label = "SYNTHETIC, " if stressed.synthetic else ""
    print_table(columns, rows, title=f"{label}{stressed.title}", right=",".join(columns[1:]))
    for curve in stressed.curves:
        if curve.unfit:
            say(f"{curve.name}: left out, {curve.unfit}")
    result(f"clean {stressed.clean.value:.2%}, mean under stress {stressed.mean:.2%}")
    result(f"stress {file}")


def _print_evaluation(made: "EvaluationResult", scores: "Scores", as_json: bool) -> None:
    """The figures of classification, and the most frequent confusions."""
    from skelab.evaluation import evaluate_scores
    from skelab.report import confused_rows, percent, summary_rows

    evaluation = evaluate_scores(scores)
    if as_json:
        files = {"scores": str(made.scores_file), "report": str(made.report_file)}
        calibration = made.calibration and asdict(made.calibration)
        fusion = {"fusion": made.controls.to_dict()} if made.controls else {}
        unknown = scores.info.unknown_training
        print_json(
            {
                **evaluation.to_dict(),
                "training_part_known": not unknown,
                "calibration": calibration,
                **fusion,
                "files": files,
            }
        )
        return
    rows = summary_rows(evaluation)
    print_table(["figure", "value", "95 %"], rows, title=_title(scores.info), right="value")
    if made.calibration:
        result(
            f"calibration error {percent(made.calibration.error)} at temperature"
            f" {made.calibration.temperature:.2f}, fitted on validation"
        )
    if evaluation.confused:
        confused = confused_rows(evaluation)[:5]
        columns = ["class", "predicted as", "count", "share"]
        print_table(columns, confused, right="count,share")
    result(f"scores {made.scores_file}")
    result(f"report {made.report_file}")


def _title(info: "ScoresInfo") -> str:
    label = "SYNTHETIC clips, " if info.synthetic else ""
    return f"{info.title} on {label}{info.dataset} {info.split}, {info.part} ({info.chosen_by})"


def _print_metrics(made: "EvaluationResult", scores: "OutputScores", as_json: bool) -> None:
    """The metrics of a task other than classification."""
    if as_json:
        files = {"scores": str(made.scores_file), "report": str(made.report_file)}
        print_json({"task": scores.task, **scores.metrics, "files": files})
        return
    rows = [(name, f"{value:.4g}") for name, value in scores.metrics.items()]
    print_table(["figure", "value"], rows, title=_title(scores.info), right="value")
    result(f"scores {made.scores_file}")
    result(f"report {made.report_file}")


def _print_seeds(results: Mapping[str, "EvaluationResult"], as_json: bool) -> None:
    """The figures of each seed, and their mean."""
    from skelab.evaluation import Scores, evaluate_scores
    from skelab.report import percent, top5_says_something
    from skelab.runs.seeds import mean_over_seeds

    found = {
        name: evaluate_scores(made.scores)
        for name, made in results.items()
        if isinstance(made.scores, Scores)
    }
    if not found:
        for made in results.values():
            if not isinstance(made.scores, Scores):
                _print_metrics(made, made.scores, as_json)
        return
    figures = {
        "top-1": mean_over_seeds([each.top1.value for each in found.values()]),
        **(
            {"top-5": mean_over_seeds([each.top5.value for each in found.values()])}
            if top5_says_something(next(iter(found.values())))
            else {}
        ),
        "macro F1": mean_over_seeds([each.macro_f1 for each in found.values()]),
    }
    if as_json:
        files = {name: str(made.scores_file) for name, made in results.items()}
        print_json({**{name: asdict(figure) for name, figure in figures.items()}, "files": files})
        return
    rows: list[tuple[str, ...]] = [
        (
            name,
            percent(each.top1.value),
            *([percent(each.top5.value)] if "top-5" in figures else []),
            percent(each.macro_f1),
        )
        for name, each in found.items()
    ]
    means = figures.values()
    rows.append(("mean", *(percent(figure.mean) for figure in means)))
    rows.append(("95 %", *(f"{percent(figure.low)} to {percent(figure.high)}" for figure in means)))
    title = _title(next(iter(results.values())).scores.info)
    print_table(["seed", *figures], rows, title=title, right=",".join(figures))
    for made in results.values():
        result(f"report {made.report_file}")
