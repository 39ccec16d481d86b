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
        str, typer.Option(help="What computes: eager, onnx, openvino.")
    ] = "eager,onnx,openvino",
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
    runtimes = _known("--runtime", runtime, ("eager", "onnx", "openvino"))

    from skelab.models import get_card, list_models

    for model in models or ():
        if not Path(model).exists():
            get_card(model)

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
            _show(rows, machine, as_json)
        raise
    _show(rows, machine, as_json)


def _show(rows: Sequence["BenchRow"], machine: "Machine", as_json: bool) -> None:
    if as_json:
        print_json({"machine": asdict(machine), "rows": [_as_dict(row) for row in rows]})
        return
    result(machine.title)
    columns = [
        "runtime",
        "ms per clip",
        "interquartile range",
        "clips/s",
        "MB",
        "max. relative error",
    ]
    for (model, frames, batch), group in groupby(rows, _table_of):
        table = [(f"{row.runtime.value} {row.precision.value}", *_figures(row)) for row in group]
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
