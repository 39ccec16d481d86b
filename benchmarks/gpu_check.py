"""What a machine with a GPU shows in at most twelve minutes, as one Markdown file for an issue.

The tests that need a GPU; `skelab fit` measured, against its own prediction for the same card;
training on synthetic clips in each number format, and on two devices where there are two. A step
that takes longer than its share is ended and named. The processor can stand in for a GPU: then the
same steps run, and the figures say nothing about one.

    python benchmarks/gpu_check.py --out gpu-check.md
    python benchmarks/gpu_check.py --device cpu --models ctrgcn --out stand-in.md
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch

REPOSITORY: Final = Path(__file__).resolve().parents[1]
LIMIT_S: Final = 12 * 60
SKELAB: Final = (sys.executable, "-m", "skelab")
FORMATS: Final = ("fp32", "bf16", "fp16", "apex-o1")
SMALL: Final = ("--set", "training.epochs=2", "--set", "data.validation_subjects=0")


@dataclass(frozen=True)
class Done:
    """One step: how it ended, how long it took, what it printed."""

    status: int | None
    seconds: float
    out: str
    err: str

    @property
    def verdict(self) -> str:
        """How it ended, in words."""
        if self.status is None:
            return "not finished within its share of time"
        return "done" if self.status == 0 else f"exit {self.status}: {self.last_line}"

    @property
    def last_line(self) -> str:
        """The last line on stderr, or of stdout."""
        return next(iter((self.err.strip() or self.out.strip()).splitlines()[-1:]), "")


class Clock:
    """Shares out the time that is left."""

    def __init__(self, limit: float) -> None:
        self._end = time.monotonic() + limit

    def run(
        self, words: Sequence[str], folder: Path, share: float, gpus: str | None = None
    ) -> Done:
        """Run a command for at most a share of the whole time, and what is left at most."""
        limit = min(share * LIMIT_S, self._end - time.monotonic())
        if limit < 1:
            return Done(None, 0.0, "", "")
        began = time.monotonic()
        environment = {**os.environ, **({"CUDA_VISIBLE_DEVICES": gpus} if gpus else {})}
        process = subprocess.Popen(
            [str(word) for word in words],
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
            start_new_session=True,
        )
        try:
            out, err = process.communicate(timeout=limit)
            status: int | None = process.returncode
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)  # and its workers
            (out, err), status = process.communicate(), None
        return Done(status, time.monotonic() - began, out, err)


def tests(clock: Clock) -> Iterator[str]:
    """The tests that need a GPU."""
    words = (sys.executable, "-m", "pytest", "-q", "-n0", "-m", "gpu", "tests")
    done = clock.run(words, REPOSITORY, 0.25)
    summary = next(iter(done.out.strip().splitlines()[-1:]), "")
    yield f"## Tests that need a GPU\n\n{done.verdict}, {done.seconds:.0f} s: `{summary}`\n"
    for line in done.out.splitlines():
        if line.startswith(("FAILED", "ERROR")):
            yield f"- `{line[:200]}`"


def fit(clock: Clock, folder: Path, device: str, models: Sequence[str]) -> Iterator[str]:
    """What fit measures, against what it predicts for the same card."""
    yield "## Memory and time: measured against predicted\n"
    measured = clock.run((*SKELAB, "fit", *models, "--device", device, "--json"), folder, 0.3)
    yield f"measured: {measured.verdict}, {measured.seconds:.0f} s  "
    if measured.status != 0:
        return
    found = json.loads(measured.out)
    predicted = {}
    if device != "cpu":
        memory = f"{torch.cuda.get_device_properties(0).total_memory / 2**30:.0f}GB"
        name = torch.cuda.get_device_name().removeprefix("NVIDIA ").removeprefix("GeForce ")
        words = (*SKELAB, "fit", *models, "--gpu", name, "--vram", memory, "--json")
        foretold = clock.run(words, folder, 0.15)
        yield f"predicted for {name} {memory}: {foretold.verdict}, {foretold.seconds:.0f} s\n"
        predicted = options(json.loads(foretold.out)) if foretold.status == 0 else {}
    else:
        yield "no prediction: the processor stands in\n"
    yield "| network | with | clips | GiB | predicted | error | step, ms | predicted | error |"
    yield "|---|---|---|---|---|---|---|---|---|"
    for key, option in options(found).items():
        yield row(key, option, predicted.get(key))


def options(report: dict[str, Any]) -> dict[tuple[str, str, str, int], dict[str, Any]]:
    """What was tried of each network, by what was set."""
    return {
        (model["model"], each["precision"], each["activations"], each["micro_batch"] or 0): each
        for model in report["models"]
        for each in model["options"]
    }


def row(
    key: tuple[str, str, str, int], measured: dict[str, Any], predicted: dict[str, Any] | None
) -> str:
    """One line of the table."""
    model, precision, activations, clips = key
    cells = [model, f"{precision}, {activations}", str(clips)]
    for name, scale in (("memory", 2**-30), ("step", 1e3)):
        here, there = (amount(each, name) for each in (measured, predicted))
        cells += [shown(here, scale), shown(there, scale)]
        cells.append(f"{there / here - 1:+.0%}" if here and there else "")
    return f"| {' | '.join(cells)} |"


def amount(option: dict[str, Any] | None, name: str) -> float | None:
    """Memory, bytes, or seconds of a step; None where it is not known."""
    found = (option or {}).get(name) or {}
    value = found.get("total" if name == "memory" else "typical")
    return None if value is None else float(value)


def shown(value: float | None, scale: float) -> str:
    """A figure, or nothing."""
    return "" if value is None else f"{value * scale:.3g}"


def training(clock: Clock, folder: Path, device: str) -> Iterator[str]:
    """Training on synthetic clips of 20 classes, in each number format and on two devices."""
    yield "\n## Training\n\n| recipe | with | ended | s | last line of metrics |"
    yield "|---|---|---|---|---|"
    made = clock.run(
        (*SKELAB, "synth", "skeletons", "--clips", "160", "--actions", "20"), folder, 0.1
    )
    filled = clock.run((*SKELAB, "ingest", "skeletons", "store.arrow"), folder, 0.1)
    if made.status != 0 or filled.status != 0:
        yield f"| | | {made.verdict}; {filled.verdict} | | |"
        return
    for precision in FORMATS:
        words = ("train", "ctrgcn-demo", "--data", "store.arrow", "--out", precision, *SMALL)
        yield trained(
            clock, folder, precision, (*SKELAB, *words, "--set", f"precision={precision}")
        )
    if device != "cpu" and torch.cuda.device_count() > 1:
        launch = (sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "-m")
        shared = ("skelab", "train", "ctrgcn-demo", "--data", "store.arrow", "--out", "two", *SMALL)
        yield trained(clock, folder, "two devices", (*launch, *shared), "0,1")


def trained(
    clock: Clock, folder: Path, title: str, words: Sequence[str], gpus: str | None = None
) -> str:
    """One run, as a line of the table."""
    done = clock.run(words, folder, 0.1, gpus)
    out = folder / words[list(words).index("--out") + 1] / "metrics.jsonl"
    last = out.read_text().splitlines()[-1][:160] if out.is_file() and out.stat().st_size else ""
    return f"| ctrgcn-demo | {title} | {done.verdict[:160]} | {done.seconds:.0f} | `{last}` |"


def main() -> None:
    """Run everything and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("gpu-check.md"))
    parser.add_argument("--device", choices=("cuda:0", "cpu"), default="cuda:0")
    parser.add_argument("--models", nargs="*", default=[], help="of `skelab fit`; all by default")
    parser.add_argument("--no-tests", action="store_true", help="leave the tests out")
    arguments = parser.parse_args()
    if arguments.device != "cpu" and not torch.cuda.is_available():
        sys.exit("gpu_check: PyTorch sees no CUDA device; --device cpu tries the script itself")
    began, clock = time.monotonic(), Clock(LIMIT_S)
    with tempfile.TemporaryDirectory() as place, arguments.out.open("w") as file:
        folder = Path(place)
        says = clock.run((*SKELAB, "doctor"), folder, 0.1)
        lines = [f"# GPU check\n\n```text\n{says.out.strip()}\n```\n"]
        if arguments.device == "cpu":
            lines.append("**The processor stood in: nothing here is about a GPU.**\n")
        sections = [] if arguments.no_tests else [tests(clock)]
        sections += [
            training(clock, folder, arguments.device),
            fit(clock, folder, arguments.device, arguments.models),
        ]
        for section in ([*lines], *sections):
            for line in section:
                print(line, file=file, flush=True)
        print(f"\n{time.monotonic() - began:.0f} s in all.", file=file)
    print(f"written to {arguments.out}")


if __name__ == "__main__":
    main()
