"""A training step: what it keeps for the backward pass, its time, and what absent bodies cost.

The yardstick of memory and time is ``plain_networks.py``, which computes the same numbers as the
authors describe it; before anything is timed, its logits must equal ours. The ways take turns, and
ratios are medians over rounds.

    python benchmarks/bench_training.py
    python benchmarks/bench_training.py --only absent --models ctrgcn msg3d --threads 1 --json
"""

import argparse
import copy
from collections.abc import Callable, Sequence
from functools import partial

import torch
import torch.nn.functional as F
from plain_networks import plain_twin, saved_bytes
from timing import Result, compare, report
from torch import Tensor, nn

from skelab.models import (
    SkeletonModel,
    create_model,
    list_models,
    set_activation_policy,
    set_skip_absent,
)

CLASSES = 60
JOINTS, BODIES = 25, 2
MEMORY_CASES = (("ctrgcn", 64, 16, 15), ("msg3d", 64, 2, 10), ("msg3d", 300, 1, 10))
"""Family, frames, clips of a step, and how many times less than plain was wanted.

PyTorch takes other kernels for fewer than 16 rows, and recipes train on 16 clips and more.
"""
ABSENT_CLIPS, ABSENT_ALONE = 11, 9
ABSENT_FRAMES = 64
SLOWER = 1.3  # at most so many times the time of the plain step


def new_model(name: str, **options: float) -> SkeletonModel:
    """A network of weights as they start, but for norms that start at zero: all of it counts."""
    torch.manual_seed(0)
    model = create_model(name, num_classes=CLASSES, layout="ntu25", **options)  # type: ignore[arg-type]  # options of families are numbers
    if not isinstance(model, SkeletonModel):
        raise SystemExit(f"{name}: is no SkeletonModel")
    with torch.no_grad():
        for layer in model.modules():
            if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
                nn.init.normal_(layer.weight, mean=1.0, std=0.1)
    return model


def training_step(model: nn.Module) -> Callable[[Tensor, Tensor], None]:
    """One step of SGD, from the clips to the new weights."""
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-4, momentum=0.9, nesterov=True)

    def step(clips: Tensor, labels: Tensor) -> None:
        optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(F.cross_entropy(model(clips), labels))
        optimizer.step()

    return step


def check_equal(plain: nn.Module, ours: nn.Module, clips: Tensor) -> None:
    """Make sure that both ways give the same logits, in training and in eval mode."""
    for training in (True, False):
        with torch.no_grad():
            expected, found = (
                copy.deepcopy(model).train(training).double()(clips.double())
                for model in (plain, ours)
            )
        error = float((found - expected).abs().max() / expected.abs().max())
        if error > 1e-9:
            raise SystemExit(f"the plain way gives other logits: {error:.1e} of the largest")


def bench_memory(name: str, frames: int, clips: int, less: int) -> list[Result]:
    """Bytes kept for the backward pass, a clip with two people."""
    model = new_model(name)
    plain = plain_twin(model)
    x = torch.randn(clips, 3, frames, JOINTS, BODIES)
    check_equal(plain, model, x[:1])
    yardstick = saved_bytes(plain, x) / clips / 1e6
    results = []
    for policy in ("keep", "recompute"):
        set_activation_policy(model, policy)
        kept = saved_bytes(model, x) / clips / 1e6
        results.append(
            Result(
                f"{name}, T={frames}, `memory.activations={policy}`: kept a clip",
                "MB",
                kept,
                plain=yardstick,
                ratio=yardstick / kept,
                target=f"≥ {less}" if policy == "recompute" else "",
            )
        )
    return results


def bench_time(name: str, frames: int, clips: int, rounds: int) -> list[Result]:
    """The time of a training step, a clip with two people."""
    model = new_model(name)
    check_equal(plain_twin(model), model, torch.randn(1, 3, frames, JOINTS, BODIES))
    results = []
    for policy in ("keep", "recompute"):
        model = new_model(name)
        plain = training_step(plain_twin(model))
        set_activation_policy(model, policy)
        ours = training_step(model)
        x, labels = torch.randn(clips, 3, frames, JOINTS, BODIES), torch.arange(clips)
        results.append(
            compare(
                f"{name}, T={frames}, `memory.activations={policy}`: step of {clips}, a clip",
                partial(plain, x, labels),
                partial(ours, x, labels),
                rounds=rounds,
                divide_by=clips,
                scale=1e3,
                unit="ms",
                target=f"≥ {1 / SLOWER:.2f}" if policy == "recompute" else "",
            )
        )
    return results


def bench_absent(name: str, rounds: int) -> list[Result]:
    """A batch in which 82 % of the clips have one body, with every body computed and without."""
    # Dropout within a backbone keeps absent bodies apart, so that none can be spared.
    options = {"temporal_dropout": 0.0} if name == "stgcn_official" else {}
    sparing = new_model(name, **options)
    plain = copy.deepcopy(sparing)
    set_skip_absent(plain, False)
    x = torch.randn(ABSENT_CLIPS, 3, ABSENT_FRAMES, JOINTS, BODIES)
    x[:ABSENT_ALONE, ..., 1] = 0
    labels = torch.arange(ABSENT_CLIPS)
    check_equal(plain, sparing, x)

    def score(model: nn.Module) -> None:
        with torch.inference_mode():
            model(x)

    def ways(mode: str, way: Callable[[nn.Module], Callable[[], None]]) -> Result:
        return compare(
            f"{name}, T={ABSENT_FRAMES}, {mode}, a clip",
            way(plain),
            way(sparing),
            rounds=rounds,
            divide_by=ABSENT_CLIPS,
            scale=1e3,
            unit="ms",
        )

    plain.eval()
    sparing.eval()
    scoring = ways("eval", lambda model: partial(score, model))
    plain.train()
    sparing.train()
    training = ways("training step", lambda model: partial(training_step(model), x, labels))
    kept = [saved_bytes(model, x) / ABSENT_CLIPS / 1e6 for model in (plain, sparing)]
    memory = Result(
        f"{name}, T={ABSENT_FRAMES}, training: kept for the backward pass, a clip",
        "MB",
        kept[1],
        plain=kept[0],
        ratio=kept[0] / kept[1],
    )
    return [scoring, training, memory]


def main() -> None:
    """Measure what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    sections = ("memory", "time", "absent")
    families = [card.name for card in list_models()]
    parser.add_argument("--only", nargs="+", choices=sections, default=sections)
    parser.add_argument("--models", nargs="+", choices=families, default=families)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, help="of PyTorch; by default its own choice")
    parser.add_argument("--json", action="store_true", help="one line of JSON a table")
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    cases = [case for case in MEMORY_CASES if case[0] in options.models]

    def tables(section: str) -> Sequence[Result]:
        if section == "memory":
            return [result for case in cases for result in bench_memory(*case)]
        if section == "time":
            return [result for case in cases for result in bench_time(*case[:3], options.rounds)]
        return [result for name in options.models for result in bench_absent(name, options.rounds)]

    for section in options.only:
        report(section.capitalize(), tables(section), as_json=options.json)


if __name__ == "__main__":
    main()
