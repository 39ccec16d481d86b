"""Predicted memory and time of a training step, held against what was measured or published.

Memory is held against the live bytes of the same step on real tensors, and against how far a
process of its own grows; times against the same roofline with this processor's measured peaks.

    python benchmarks/bench_fit.py
    python benchmarks/bench_fit.py --only rss time --models ctrgcn msg3d --threads 1
"""

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn

from skelab.fit.figures import Configuration
from skelab.fit.gpus import MIB
from skelab.fit.predict import PredictedDevice
from skelab.fit.step import TrainingStep
from skelab.fit.storage import Category, Lives, StorageWatch
from skelab.fit.trace import Trace, trace_training
from skelab.fit.worker import half_convolution
from skelab.host.timing import clocked, in_turn
from skelab.models import list_models
from skelab.recipes import load_recipe

FAMILIES = [card.name for card in list_models()]
SECTIONS = ("memory", "scaling", "rss", "allocator", "time", "published")
STEPS = 6
BATCHES = (1, 2, 4)
WAYS = tuple((precision, kept) for precision in ("fp32", "bf16") for kept in ("keep", "recompute"))
GROWTH_CLIPS: Mapping[str, int] = {"msg3d": 2}
MALLOC = {"MALLOC_ARENA_MAX": "1", "MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "0"}
_STATUS, _FORGET_PEAK = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def configured(
    name: str, precision: str, kept: str, clips: int, window: int, **settings: object
) -> Configuration:
    """A family's recipe with other settings, all clips of a batch at once."""
    given = {
        "precision": precision,
        "memory.activations": kept,
        "data.window": window,
        "training.batch_size": clips,
        "memory.micro_batch": clips,
        **settings,
    }
    return Configuration(load_recipe(name, [f"{key}={value}" for key, value in given.items()]))


def counted(configuration: Configuration) -> Lives:
    """The storages of a step on real tensors."""
    step, watch = TrainingStep(configuration), StorageWatch()
    with watch:
        step.prime()
        step.begin()
    watch.hold(step.weights(), Category.WEIGHTS)
    watch.hold(step.optimiser_state(), Category.OPTIMISER)
    watch.hold(step.inputs(), Category.ACTIVATIONS)
    watch.start()
    with watch:
        step.forward_backward()
        watch.hold(step.gradients(), Category.GRADIENTS)
        step.update()
    return watch.lives()


def table(title: str, *columns: str) -> None:
    """The head of a table in Markdown."""
    print(f"\n### {title}\n\n| {' | '.join(columns)} |\n|{'---|' * len(columns)}", flush=True)


def row(*cells: object) -> None:
    """A line of it."""
    print(f"| {' | '.join(str(cell) for cell in cells)} |", flush=True)


def bench_memory(models: list[str]) -> None:
    """Counted bytes of every family, three batches, two precisions, both policies."""
    table(
        "Counted bytes of a step, predicted against real tensors, T=16",
        "family",
        *(f"{precision}, {kept}: MB of {BATCHES[-1]} clips" for precision, kept in WAYS),
        f"largest error, batches {', '.join(map(str, BATCHES))}",
    )
    for name in models:
        errors, cells = [], []
        for precision, kept in WAYS:
            for clips in BATCHES:
                case = configured(name, precision, kept, clips, 16)
                real = counted(case).at_peak().total
                trace = trace_training(case, for_gpu=False)
                predicted = trace.counted_memory(clips).total
                errors.append(predicted / real - 1)
            cells.append(f"{predicted / 1e6:.1f} of {real / 1e6:.1f}")
        row(name, *cells, f"{max(errors, key=abs):+.2%}")


def bench_scaling(models: list[str]) -> None:
    """Activations against frames, joints, bodies and clips."""
    table(
        "Activations against each size, MB a clip and as times as much for the last",
        "family",
        "T = 32, 64, 128",
        "V = 17, 25",
        "M = 1, 2, 4",
        "clips = 4, 8, 16",
    )
    for name in models:
        base = configured(name, "fp32", "keep", 16, 64)

        def of(case: Configuration, clips: int = 64) -> float:
            trace = trace_training(case, for_gpu=True)
            return trace.counted_memory(clips).activations / clips / 1e6

        frames = [of(configured(name, "fp32", "keep", 16, window)) for window in (32, 64, 128)]
        joints = [of(replace(base, layout=layout)) for layout in ("coco17", "ntu25")]
        bodies = [of(replace(base, bodies=bodies)) for bodies in (1, 2, 4)]
        clips = [of(base, count) * count for count in (4, 8, 16)]
        row(name, *map(_series, (frames, joints, bodies, clips)))


def _series(values: list[float]) -> str:
    return f"{', '.join(f'{value:.1f}' for value in values)} ({values[-1] / values[-2]:.3f})"


def growth_case(name: str, precision: str, kept: str, clips: int | None = None) -> Configuration:
    """What a child process runs."""
    return configured(name, precision, kept, clips or GROWTH_CLIPS.get(name, 4), 64)


def grow(name: str, precision: str, kept: str) -> None:
    """In a process of its own: by how much it grows in a step, bytes."""
    torch.set_num_threads(1)
    step = TrainingStep(growth_case(name, precision, kept))
    step.run()
    step.begin()
    _FORGET_PEAK.write_text("5")
    before = _memory("VmRSS")
    step.forward_backward()
    step.update()
    print(json.dumps(_memory("VmHWM") - before))


def bench_allocator(models: list[str]) -> None:
    """What glibc holds beyond what is needed, as it is and where it is told to give memory back."""
    table(
        f"Growth of a process over {STEPS} steps and time of a clip, glibc as it is and thrifty",
        "case",
        "counted, MB",
        "two steps, MB",
        f"{STEPS} steps, MB",
        "thrifty, MB",
        "a clip, ms",
        "thrifty, ms",
    )
    for name in models:
        for kept in ("keep", "recompute"):
            case = growth_case(name, "fp32", kept)
            counted_bytes = trace_training(case, for_gpu=False).counted_memory(case.micro_batch)
            usual, seconds = _steps(name, kept, {})
            thrifty, thrifty_seconds = _steps(name, kept, MALLOC)
            row(
                f"{name}, {kept}, {case.micro_batch} clips",
                *(
                    f"{size / 1e6:.0f}"
                    for size in (counted_bytes.total, usual[1], usual[-1], thrifty[-1])
                ),
                *(f"{1e3 * time_ / case.micro_batch:.0f}" for time_ in (seconds, thrifty_seconds)),
            )


def _steps(name: str, kept: str, environment: Mapping[str, str]) -> tuple[list[int], float]:
    """What a process that takes some steps says of itself, see ``take_steps``."""
    command = [sys.executable, __file__, "--steps", name, kept]
    done = subprocess.run(
        command, env=os.environ | environment, capture_output=True, text=True, check=True
    )
    growth, seconds = json.loads(done.stdout)
    return growth, seconds


def take_steps(name: str, kept: str) -> None:
    """In a process of its own: its growth after each step, bytes, and the fastest, seconds."""
    torch.set_num_threads(1)
    before, growth, seconds = _memory("VmRSS"), [], []
    step = TrainingStep(growth_case(name, "fp32", kept))
    for _ in range(STEPS):
        started = time.process_time()
        step.run()
        seconds.append(time.process_time() - started)
        growth.append(_memory("VmHWM") - before)
    print(json.dumps([growth, min(seconds)]))


def _memory(what: str) -> int:
    found = re.search(rf"^{what}:\s+(\d+) kB", _STATUS.read_text(), flags=re.MULTILINE)
    return int(found[1]) * 1024 if found else 0


def bench_growth(models: list[str]) -> None:
    """How far a process grows in its second step."""
    table(
        "Growth of a process in a step, T=64",
        "case",
        "counted, MB",
        "with one copy, MB",
        "measured, MB",
        "counted against measured",
        "with one copy",
    )
    for name in models:
        for precision, kept in WAYS:
            case = growth_case(name, precision, kept)
            lives = trace_training(case, for_gpu=False).lives_of(case.micro_batch)
            held = int(lives.live()[0])
            bare, copied = lives.at_peak().total - held, lives.peak_with_loads(max) - held
            command = [sys.executable, __file__, "--grow", name, precision, kept]
            done = subprocess.run(
                command, env=os.environ | MALLOC, capture_output=True, text=True, check=True
            )
            real = json.loads(done.stdout)
            row(
                f"{name}, {precision}, {kept}, {case.micro_batch} clips",
                *(f"{size / 1e6:.0f}" for size in (bare, copied, real)),
                f"{bare / real - 1:+.0%}",
                f"{copied / real - 1:+.0%}",
            )


def measured_peaks() -> dict[str, float]:
    """What this processor reaches: FLOP/s of matrix products, and bytes a second of copying.

    By processor time, as the steps are: on a machine that is shared the clock says nothing.
    """
    peaks = {}
    for key, dtype in (("flops", torch.float32), ("half_flops", torch.bfloat16)):
        matrix = torch.randn(1024, 1024).to(dtype)
        peaks[key] = 2 * 1024**3 / _fastest(partial(torch.matmul, matrix, matrix))
    convolve, derive, convolved = half_convolution()
    peaks["half_convolution_flops"] = 1e9 * convolved / _fastest(convolve)
    peaks["half_gradient_flops"] = 2e9 * convolved / _fastest(derive)
    source, target = torch.zeros(2**25), torch.zeros(2**25)
    peaks["bandwidth"] = 2 * 4 * 2**25 / _fastest(partial(target.copy_, source))
    return peaks


def _fastest(call: Callable[[], object], rounds: int = 9) -> float:
    seconds = []
    for _ in range(rounds):
        started = time.process_time()
        call()
        seconds.append(time.process_time() - started)
    return min(seconds) / torch.get_num_threads()


def bench_time(models: list[str], rounds: int, most: int | None) -> None:
    """Times of a step by the roofline of this processor."""
    peaks = measured_peaks()
    device = PredictedDevice.processor("this processor", memory_limit=2**50, context=0, **peaks)
    print(f"\nPeaks: {', '.join(f'{key} {value / 1e9:.0f} G/s' for key, value in peaks.items())}")
    table(
        f"Time of a step, T=64, {torch.get_num_threads()} threads",
        "case",
        "at best, ms",
        "predicted, ms",
        "measured, ms (processor time)",
        "measured ÷ at best",
        "measured ÷ predicted",
        "in the range",
    )
    inside = []
    for name in models:
        for precision, kept in WAYS:
            case = growth_case(name, precision, kept, most)
            operators = trace_training(case, for_gpu=False).operators_of(case.micro_batch)
            best = float(device.roofline.best(operators).sum())
            span = device.training(case).seconds
            step = TrainingStep(case)
            _, *turns = in_turn({"step": clocked(step.run)}, rounds + 1)
            threads = torch.get_num_threads()
            cpu = statistics.median(turn["step"].cpu for turn in turns) / threads
            wall = statistics.median(turn["step"].wall for turn in turns)
            fits = span.low <= cpu <= span.high
            inside.append(fits)
            row(
                f"{name}, {precision}, {kept}, {case.micro_batch} clips",
                f"{best * 1e3:.0f}",
                f"{span.low * 1e3:.0f} to {span.high * 1e3:.0f}, about {span.typical * 1e3:.0f}",
                f"{wall * 1e3:.0f} ({cpu * 1e3:.0f})",
                f"{cpu / best:.2f}",
                f"{cpu / span.typical:.2f}",
                "yes" if fits else "**no**",
            )
    print(f"\n{sum(inside)} of {len(inside)} lie in the range.")


@contextmanager
def relu_that_keeps_its_input() -> Iterator[None]:
    """ReLU as it was before PyTorch 1.10: the backward pass needs what came in."""

    def forward(_: nn.Module, x: Tensor) -> Tensor:
        return torch.threshold(x, 0.0, 0.0)

    before = torch.relu, nn.ReLU.forward
    torch.relu, nn.ReLU.forward = lambda x: torch.threshold(x, 0.0, 0.0), forward  # type: ignore[assignment, method-assign]
    try:
        yield
    finally:
        torch.relu, nn.ReLU.forward = before  # type: ignore[method-assign]


def bench_published() -> None:
    """Figures that others print."""
    table(
        "Published memory of a training step, MiB",
        "case",
        "printed",
        "tensors",
        "with copies of one convolution",
        "error of the two",
    )

    def line(said: str, printed: int, trace: Trace, clips: int) -> None:
        lives = trace.lives_of(clips).rounded(512)
        found = [lives.at_peak().total / MIB, lives.peak_with_loads() / MIB]
        errors = ", ".join(f"{value / printed - 1:+.1%}" for value in found)
        row(said, printed, *(f"{value:.0f}" for value in found), errors)

    def trace(name: str, layout: str = "ntu25", *overrides: str) -> Trace:
        return trace_training(Configuration(load_recipe(name, overrides), layout), for_gpu=True)

    line("ST-GCN, 17 joints, T=100, 16 clips", 1184, trace("stgcn", "coco17"), 16)
    line("ST-GCN, T=300, 32 clips", 10019, trace("stgcn", "ntu25", "data.window=300"), 32)
    line("ST-GCN++, T=100, 16 clips", 3458, trace("stgcnpp"), 16)
    trace_training.__globals__["_training"].cache_clear()
    with relu_that_keeps_its_input():
        line("the same, ReLU as before PyTorch 1.10", 3458, trace("stgcnpp"), 16)
    trace_training.__globals__["_training"].cache_clear()
    line("MS-G3D, T=300, fp16, 16 clips", 11 * 1024, trace("msg3d", "ntu25", "precision=fp16"), 16)

    table(
        "Published speed on an RTX 2080 Ti, clips a second, fp32, T=100, batches of 16",
        "family",
        "printed",
        "predicted, training",
        "predicted, inference",
    )
    card = PredictedDevice.named("RTX 2080 Ti")
    for name, printed in (("msg3d", 111), ("ctrgcn", 353)):
        case = configured(name, "fp32", "keep", 16, 100)
        spans = card.training(case).seconds, card.inference(case).seconds
        speeds = [
            f"{16 / span.high:.0f} to {16 / span.low:.0f}, about {16 / span.typical:.0f}"
            for span in spans
        ]
        row(name, printed, *speeds)


def main() -> None:
    """Hold against each other what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=SECTIONS, default=SECTIONS)
    parser.add_argument("--models", nargs="+", choices=FAMILIES, default=FAMILIES)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, help="of PyTorch; by default its own choice")
    parser.add_argument("--clips", type=int, help="of a step that is timed")
    parser.add_argument("--grow", nargs=3, help=argparse.SUPPRESS)
    parser.add_argument("--steps", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.grow:
        grow(*options.grow)
        return
    if options.steps:
        take_steps(*options.steps)
        return
    if options.threads:
        torch.set_num_threads(options.threads)
    sections: Mapping[str, Callable[[], None]] = {
        "memory": lambda: bench_memory(options.models),
        "scaling": lambda: bench_scaling(options.models),
        "rss": lambda: bench_growth(options.models),
        "allocator": lambda: bench_allocator(options.models),
        "time": lambda: bench_time(options.models, options.rounds, options.clips),
        "published": bench_published,
    }
    for section in options.only:
        sections[section]()


if __name__ == "__main__":
    main()
