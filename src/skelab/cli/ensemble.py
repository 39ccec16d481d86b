"""`skelab ensemble`: scores of several streams or networks become one answer."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from skelab.cli.output import print_json, print_table, result
from skelab.cli.paths import Force, named
from skelab.errors import ScoresError

if TYPE_CHECKING:
    from skelab.evaluation import ScoreFile, Scores


def ensemble(
    scores: Annotated[
        list[Path],
        typer.Argument(help="Score files, run folders, or a folder of the authors' pickles."),
    ],
    weights: Annotated[
        str,
        typer.Option(
            help="equal, fitted, numbers such as 0.6,0.6,0.4,0.4, or a preset: authors, ctrgcn,"
            " shiftgcn, pyskl, dgstgcn, protogcn, skeletonagent, hypergcn-xsub, -xview, -ntu120."
        ),
    ] = "equal",
    labels: Annotated[
        Path | None, typer.Option(help="Labels of pickled scores; val_label.pkl beside them.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Folder for the fused scores and their report.", parser=named, metavar="PATH"
        ),
    ] = None,
    force: Force = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
) -> None:
    """Fuse scores by sample name: the sum of the logits, weighted; print each one and the sum.

    A preset holds the weights of a paper for two, four or six streams, by the streams' names.
    With fitted weights, every run needs scores of its validation part (skelab evaluate --part
    validation): nothing is ever fitted on the test part.
    """
    from skelab.evaluation import find_label_file, find_score_files, read_labels, read_score_file

    groups = find_score_files(scores)
    if out is not None and len(groups) > 1:
        raise ScoresError(
            f"--out takes one ensemble, found {len(groups)}: {', '.join(sorted(groups))}"
        )
    if out is not None:
        _check_out(out, [file.path for files in groups.values() for file in files], force)
    ensembles = []
    for name, files in groups.items():
        label_file = labels or find_label_file(files)
        table = read_labels(label_file) if label_file else None
        streams = [read_score_file(file, table) for file in files]
        ensembles.append(_fused(name, files, streams, weights, out))
    if as_json:
        print_json(ensembles)
        return
    for entry in ensembles:
        _print_ensemble(entry)


def _fused(
    name: str,
    files: Sequence["ScoreFile"],
    streams: Sequence["Scores"],
    weights: str,
    out: Path | None,
) -> dict[str, Any]:
    """An ensemble's figures: those of each stream, of the sum, and of their difference."""
    from skelab.evaluation import fuse, paired_bootstrap

    used = _choose_weights(weights, files, streams)
    fused = fuse(streams, used)
    figures: dict[str, Any] = {
        "ensemble": name,
        "synthetic": fused.info.synthetic,
        "protocol": fused.info.protocol,
        "training_part_known": not fused.info.unknown_training,
        "samples": len(fused),
        "streams": [
            {"name": stream.info.title, "weight": weight, "file": str(file.path), **_of(stream)}
            for file, stream, weight in zip(files, streams, used, strict=True)
        ],
        "fused": _of(fused),
    }
    if len(streams) > 1:
        best = max(streams, key=lambda stream: stream.top(1))
        gain = paired_bootstrap(fused, best, seed=0)
        figures["gain"] = {
            "over": best.info.title,
            "difference": gain.difference,
            "low": gain.low,
            "high": gain.high,
            "p_value": gain.p_value,
        }
    if out is not None:
        figures["files"] = _write(fused, out, used)
    return figures


def _of(scores: "Scores") -> dict[str, Any]:
    from skelab.evaluation import evaluate_scores

    found = evaluate_scores(scores)
    return {
        "top1": found.top1.value,
        "top1_low": found.top1.low,
        "top1_high": found.top1.high,
        "top5": found.top5.value,
        "calibration_error": found.calibration_error,
    }


def _choose_weights(
    weights: str, files: Sequence["ScoreFile"], streams: Sequence["Scores"]
) -> tuple[float, ...]:
    """The weight of each stream, as asked for."""
    from skelab.evaluation import (
        ENSEMBLE_PRESETS,
        Scores,
        authors_weights,
        check_validation_of,
        fit_weights,
    )

    count = len(files)
    if weights == "equal":
        return (1.0,) * count
    if weights in ENSEMBLE_PRESETS:
        return authors_weights([stream.info.stream for stream in streams], weights)
    if weights == "fitted":
        missing = [file.path for file in files if not file.validation.is_file()]
        if missing:
            raise ScoresError(
                f"{missing[0]}: fitting needs {missing[0].with_name('scores-validation.npz').name}"
                " beside it, which `skelab evaluate RUN --part validation` makes"
            )
        validation = [Scores.load(file.validation) for file in files]
        for stream, entry in zip(streams, validation, strict=True):
            check_validation_of(stream, entry)
        return fit_weights(validation)
    try:
        numbers = tuple(float(word) for word in weights.split(","))
    except ValueError:
        raise ScoresError(
            f"--weights {weights}: expected equal, authors, fitted or numbers such as 0.6,0.4, or a"
            f" preset: {', '.join(ENSEMBLE_PRESETS)}"
        ) from None
    if len(numbers) != count:
        raise ScoresError(f"--weights {weights}: expected {count} numbers, found {len(numbers)}")
    return numbers


def _check_out(out: Path, scores: Sequence[Path], force: bool) -> None:
    """Refuse a folder whose scores are of something else, say of a run."""
    from skelab.files.kinds import PAGE, SCORES
    from skelab.files.output import check_output

    for name, kind in (("scores-test.npz", SCORES), ("report.html", PAGE)):
        check_output(out / name, kind, inputs=scores, force=force)


def _write(fused: "Scores", out: Path, weights: Sequence[float]) -> dict[str, str]:
    from skelab.report import Report, write_report

    files = {"scores": out / "scores-test.npz", "report": out / "report.html"}
    fused.save(files["scores"])
    told = ", ".join(f"{weight:g}" for weight in weights)
    title = f"{fused.info.title} on {fused.info.dataset}, {fused.info.split} {fused.info.part}"
    report = Report(title=title, scores=fused, notes=[f"Sum of logits, weights {told}."])
    write_report(files["report"], report)
    return {name: str(path) for name, path in files.items()}


def _print_ensemble(entry: dict[str, Any]) -> None:
    def row(name: str, weight: str, found: dict[str, Any]) -> tuple[str, ...]:
        interval = f"{100 * found['top1_low']:.1f} to {100 * found['top1_high']:.1f}%"
        shares = (found["top5"], found["calibration_error"])
        return (
            *(name, weight, f"{found['top1']:.2%}", interval),
            *(f"{share:.2%}" for share in shares),
        )

    rows = [row(each["name"], f"{each['weight']:g}", each) for each in entry["streams"]]
    if len(rows) > 1:
        rows.append(row("all, fused", "", entry["fused"]))
    label = " SYNTHETIC" if entry["synthetic"] else ""
    name = f"{entry['ensemble']}: " if entry["ensemble"] else ""
    unknown = "" if entry["training_part_known"] else "; training part unknown"
    print_table(
        ["scores", "weight", "top-1", "95 %", "top-5", "calibration error"],
        rows,
        title=f"{name}{entry['samples']:,}{label} samples, protocol {entry['protocol']}{unknown}",
        right="weight,top-1,top-5,calibration error",
    )
    gain = entry.get("gain")
    if gain:
        result(
            f"fused against {gain['over']} alone: {100 * gain['difference']:+.2f} points"
            f" ({100 * gain['low']:+.2f} to {100 * gain['high']:+.2f}, p = {gain['p_value']:.3f})"
        )
    for what, path in entry.get("files", {}).items():
        result(f"{what} {path}")
