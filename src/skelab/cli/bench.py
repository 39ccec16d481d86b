"""`skelab bench`: how fast networks answer on this machine, run in several ways."""

from collections.abc import Sequence
from dataclasses import asdict
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from skelab.cli.output import print_json, print_table, progress, result, say

if TYPE_CHECKING:
    from skelab.bench.inference import BenchRow
    from skelab.host.machine import Machine

ALL_RUNTIMES = "eager,compile,onnx,openvino,native"
MEASURED = [
    "runtime",
    "ms per clip",
    "interquartile range",
    "clips/s",
    "MB",
    "max. relative error",
]
COMPARED = ["runtime", "ms per clip", "quartiles", "x eager", "of peak", "max. error"]
QUICK_ROUNDS, QUICK_SECONDS = 3, 10.0


def bench_command(
    models: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[MODEL]...",
            help="Family, checkpoint, run folder, or .onnx or .xml file; all families by default.",
        ),
    ] = None,
    batch: Annotated[str, typer.Option(help="Clips at once, separated by commas.")] = "1,16",
    precision: Annotated[str, typer.Option(help="Number formats: fp32, bf16.")] = "fp32,bf16",
    runtime: Annotated[
        str, typer.Option(help="What computes: eager, compile, onnx, openvino, native.")
    ] = "eager,onnx,openvino,native",
    compare: Annotated[
        bool,
        typer.Option(
            "--compare",
            help="Every runtime, with its ratio to eager and its share of the processor's peak.",
        ),
    ] = False,
    plot: Annotated[
        Path | None,
        typer.Option(help="Draw the times into a .png, .svg or .pdf file.", metavar="FILE"),
    ] = None,
    repeats: Annotated[int, typer.Option(min=1, help="Rounds, at most.")] = 15,
    frames: Annotated[
        int | None, typer.Option(min=4, help="Frames of a clip; the recipe's by default.")
    ] = None,
    threads: Annotated[
        int | None, typer.Option(min=1, help="Threads to compute with; all cores by default.")
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Three rounds, ten seconds each.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
) -> None:
    """Measure networks: ms per clip, clips per second, memory; the ways take turns."""
    batches = [_count("--batch", word) for word in _words("--batch", batch)]
    precisions = _known("--precision", precision, ("fp32", "bf16"))
    runtimes = _known("--runtime", ALL_RUNTIMES if compare else runtime, _words("", ALL_RUNTIMES))

    from skelab.models import get_card, list_models

    for model in models or ():
        if not Path(model).exists():
            get_card(model)

    if plot is not None:
        from skelab.bench.plot import check_plot_path

        check_plot_path(plot)
    from skelab.bench import inference
    from skelab.bench.cases import Runtime
    from skelab.host.machine import describe_machine
    from skelab.training.config import Precision

    plan = inference.BenchPlan(
        batches=tuple(batches),
        runtimes=tuple(map(Runtime, runtimes)),
        precisions=tuple(map(Precision, precisions)),
        rounds=min(repeats, QUICK_ROUNDS) if quick else repeats,
        seconds=QUICK_SECONDS if quick else inference.BenchPlan.seconds,
        frames=frames,
        threads=threads,
    )
    targets = models or [card.name for card in list_models()]
    machine = describe_machine(threads)
    rows: list[BenchRow] = []
    total = len(targets) * len(batches)
    try:
        with progress("measuring", unit="tables") as bar:
            bar(0, total)
            for row in inference.bench(targets, plan, on_note=bar.note):
                rows.append(row)
                bar(len({(row.model, row.batch) for row in rows}), total)
    except KeyboardInterrupt:
        if rows:
            say(f"stopped; rows that were done: {len(rows)}")
            _show(rows, machine, compare, as_json)
        raise
    _show(rows, machine, compare, as_json)
    if plot is not None:
        from skelab.bench.plot import write_plot

        write_plot(rows, machine.title, plot)
        say(f"figure {plot}")


def _show(rows: Sequence["BenchRow"], machine: "Machine", compare: bool, as_json: bool) -> None:
    if as_json:
        print_json({"machine": asdict(machine), "rows": [_as_dict(row) for row in rows]})
        return
    result(machine.title)
    columns = COMPARED if compare else MEASURED
    for (model, frames, batch), group in groupby(rows, _table_of):
        figures = _compared if compare else _figures
        table = [(f"{row.runtime.value} {row.precision.value}", *figures(row)) for row in group]
        title = f"{model}, {frames} frames, batch {batch}"
        print_table(columns, table, title=title, right=",".join(columns[1:]))
    reasons: dict[str, list[str]] = {}
    for row in rows:
        if row.note:
            way = f"{row.model} {row.runtime.value} {row.precision.value}, batch {row.batch}"
            reasons.setdefault(row.note, []).append(way)
    for reason, ways in reasons.items():
        result(f"not measured: {'; '.join(ways)}: {reason}")


def _table_of(row: "BenchRow") -> tuple[str, int, int]:
    return row.model, row.frames, row.batch


def _figures(row: "BenchRow") -> tuple[str, ...]:
    if row.ms_per_clip is None or row.clips_per_second is None:
        return ("-",) * 5
    spread = row.ms_per_clip
    return (
        _number(spread.median),
        f"{_number(spread.low)}-{_number(spread.high)}",
        _number(row.clips_per_second),
        "-" if row.peak_mb is None else f"{row.peak_mb:.0f}",
        "-" if row.deviation is None else f"{row.deviation:.0e}",
    )


def _compared(row: "BenchRow") -> tuple[str, ...]:
    middle, spread, _, _, deviation = _figures(row)
    speedup = "-" if row.speedup is None else f"{row.speedup.median:.2f}"
    share = "-" if row.peak_share is None else f"{row.peak_share:.2f}"
    return middle, spread, speedup, share, deviation


def _number(value: float) -> str:
    """Three digits that count."""
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def _as_dict(row: "BenchRow") -> dict[str, Any]:
    return {**asdict(row), "clips_per_second": row.clips_per_second}


def _words(option: str, text: str) -> list[str]:
    words = [word.strip() for word in text.split(",") if word.strip()]
    if not words:
        raise typer.BadParameter(
            f"{option}: expected at least one, separated by commas, found none"
        )
    return words


def _count(option: str, word: str) -> int:
    if not word.isascii() or not word.isdigit() or int(word) < 1:
        raise typer.BadParameter(f"{option}: expected whole numbers from 1, found {word!r}")
    return int(word)


def _known(option: str, text: str, known: Sequence[str]) -> list[str]:
    words = _words(option, text)
    for word in words:
        if word not in known:
            raise typer.BadParameter(
                f"{option}: expected some of {', '.join(known)}, found {word!r}"
            )
    return words
