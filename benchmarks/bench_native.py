"""Inference of compiled kernels against the authors' computation and every other engine.

The yardstick is ``plain_networks.py``, which computes the same numbers as the authors describe it,
in PyTorch, every body and every window. All ways take turns in one process with one thread; before
anything is timed, the logits of every fp32 way must be those of the plain network in float64. Times
are processor time, which other programs disturb less; the ratio by wall clock stands beside it. The
peak is what a loop of multiplications and additions reaches on one core, measured in every round;
the work is that of the network after folding, without padding.

    OMP_NUM_THREADS=1 python benchmarks/bench_native.py
    OMP_NUM_THREADS=1 python benchmarks/bench_native.py --cases ctrgcn-1 msg3d-mix --rounds 5
"""

import argparse
import statistics
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from bench_training import new_model
from jaxtyping import Float32
from plain_networks import plain_twin

from skelab.data.feeding.config import FeederConfig
from skelab.export import export_checkpoint
from skelab.host.timing import Seconds, clocked, in_turn
from skelab.inference import Checkpoint, InputSpec, open_network
from skelab.inference.folding import fold
from skelab.models import SkeletonModel, model_spec
from skelab.native.cost import count_operations
from skelab.native.networks import get_kernels

CLASSES = 60
Clips = Float32[np.ndarray, "N C T V M"]
Logits = Float32[np.ndarray, "N K"]
Way = Callable[[Clips], Logits]
LIMITS = {"fp32": 1e-5, "runtime": 1e-4}
"""Largest differences from float64, relative to the largest logit; runtimes are less exact."""


@dataclass(frozen=True)
class Case:
    """Clips that are computed at once.

    Attributes:
        family: Which network.
        frames: Frames of a clip.
        clips: Clips of a batch.
        alone: How many of them have one body.
        goal: How many times as fast as the plain way native shall be, fp32.
    """

    family: str
    frames: int
    clips: int
    alone: int = 0
    goal: str = ""


CASES = {
    "ctrgcn-1": Case("ctrgcn", 64, 1, goal="6.5"),
    "ctrgcn-16": Case("ctrgcn", 64, 16, goal="6.5"),
    "ctrgcn-mix": Case("ctrgcn", 64, 11, alone=9, goal="11"),
    "msg3d-1": Case("msg3d", 64, 1, goal="6"),
    "msg3d-4": Case("msg3d", 64, 4, goal="6"),
    "msg3d-300": Case("msg3d", 300, 1, goal="5.5"),
    "msg3d-mix": Case("msg3d", 64, 11, alone=9, goal="11"),
    "stgcnpp-1": Case("stgcnpp", 100, 1, goal="4"),
    "stgcnpp-16": Case("stgcnpp", 100, 16, goal="4"),
    "stgcn-1": Case("stgcn", 100, 1),
}
"""What is measured; goals are those of a processor with AVX-512."""


def checkpoint_of(model: SkeletonModel, frames: int) -> Checkpoint:
    """The model as a file would have it."""
    spec = model_spec(model)
    return Checkpoint(
        model=spec,
        inputs=InputSpec(
            pipeline="ctrgcn",
            units="metres",
            dataset="unnamed",
            classes=tuple(f"class {number}" for number in range(CLASSES)),
            feeder=FeederConfig(window=frames),
            synthetic=True,
        ),
        recipe=f"name: {spec.name}\nmodel:\n  name: {spec.name}\n",
        weights=model.state_dict(),
        epoch=1,
        protocol="honest",
    )


def ways_of(case: Case, model: SkeletonModel, folder: Path) -> Mapping[str, Way]:
    """Every way to compute the case, from the clips to the logits."""
    plain = plain_twin(model).eval()

    def by_authors(clips: Clips) -> Logits:
        with torch.inference_mode():
            logits: Logits = plain(torch.from_numpy(clips)).numpy()
        return logits

    file = folder / "net.safetensors"
    checkpoint_of(model, case.frames).save(file)
    ways: dict[str, Way] = {"plain": by_authors}
    ways["eager"] = open_network(file, engine="torch", threads=1).logits
    for name, target in (("onnxruntime", "onnx"), ("openvino", "openvino")):
        out = folder / ("net.onnx" if target == "onnx" else "net.xml")
        if not out.exists():  # a case of the same family was measured before
            export_checkpoint(file, out, to=target)
        ways[name] = open_network(out, engine=name, threads=1).logits
    ways["native"] = open_network(file, engine="native", threads=1).logits
    if "bf16" in get_kernels().precisions:
        halved = partial(open_network, threads=1, precision="bf16")
        ways["openvino bf16"] = halved(folder / "net.xml", engine="openvino").logits
        ways["native bf16"] = halved(file, engine="native").logits
    return ways


def check(ways: Mapping[str, Way], model: SkeletonModel, clips: Clips) -> str:
    """Make sure that all ways give the same logits; says how far bf16 is off."""
    with torch.inference_mode():
        double = plain_twin(model).eval().double()
        expected = double(torch.from_numpy(clips).double()).numpy()
    told = []
    for name, way in ways.items():
        error = float(np.abs(way(clips) - expected).max() / np.abs(expected).max())
        told.append(f"{name} {error:.0e}")
        exact = LIMITS["fp32" if name in ("native", "eager", "plain") else "runtime"]
        if "bf16" not in name and error > exact:
            raise SystemExit(f"{name}: logits off by {error:.1e} of the largest")
    return ", ".join(told)


def measure(name: str, case: Case, rounds: int, only: set[str], folder: Path) -> None:
    """Print the table of a case; files of its family are kept in the folder."""
    model = new_model(case.family).eval()
    rng = np.random.default_rng(0)
    clips = rng.standard_normal((case.clips, 3, case.frames, 25, 2)).astype(np.float32)
    clips[: case.alone, ..., 1] = 0
    kernels = get_kernels()
    bodies = 2 * case.clips - case.alone
    work = bodies * count_operations(fold(model, 1).plan, case.frames)
    peaks: list[float] = []
    made = ways_of(case, model, folder)
    ways = {key: way for key, way in made.items() if not only or key in only | {"plain"}}
    errors = check(ways, model, clips)
    timed = {key: clocked(partial(way, clips)) for key, way in ways.items()}
    seconds: dict[str, list[Seconds]] = {key: [] for key in ways}
    for number, taken in enumerate(in_turn(timed, rounds + 1)):
        peaks.append(kernels.measure_peak())
        for key in ways if number else ():
            seconds[key].append(taken[key])
    peak = statistics.median(peaks)
    print(f"\n### {name}: {case.family}, T={case.frames}, {case.clips} clips, {case.alone} alone\n")
    print(f"{work / case.clips / 1e9:.2f} GFLOP a clip; peak {peak / 1e9:.0f} GFLOP/s of one core")
    print(f"({kernels.name}); off by: {errors}\n")
    print("| way | ms a clip | quartiles | x plain | by wall clock | share of peak | goal |")
    print("|---|---|---|---|---|---|---|")
    plain = seconds["plain"]
    for key, times in seconds.items():
        spent = np.array([each.cpu for each in times])
        low, middle, high = np.percentile(spent, [25, 50, 75])
        ratio = statistics.median(a.cpu / b.cpu for a, b in zip(plain, times, strict=True))
        wall = statistics.median(a.wall / b.wall for a, b in zip(plain, times, strict=True))
        share = "" if "bf16" in key else f"{work / middle / peak:.2f}"
        goal = case.goal if key == "native" else "10" if key == "native bf16" else ""
        clip = 1e3 / case.clips
        print(
            f"| {key} | {middle * clip:.1f} | {low * clip:.1f}-{high * clip:.1f} | {ratio:.2f}"
            f" | {wall:.2f} | {share} | {goal} |",
            flush=True,
        )


def main() -> None:
    """Measure what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--only", nargs="+", default=[], help="ways beside plain")
    options = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        for name in options.cases:
            family = Path(folder) / CASES[name].family
            family.mkdir(exist_ok=True)
            measure(name, CASES[name], options.rounds, set(options.only), family)


if __name__ == "__main__":
    main()
