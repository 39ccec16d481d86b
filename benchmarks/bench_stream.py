"""What a frame of a stream costs, beside a sliding window: time, operations and memory on one core.

Networks are those of the papers in size, for two bodies of NTU RGB+D and 60 classes; weights that
nobody trained take as long as others. Rounds of both ways take turns, so that both see the same
machine. Operations are multiply-adds times two, as PyTorch counts them, over as many frames as the
longest stride of the network, since some frames pass blocks by.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from functools import partial

import torch
from torch.utils.flop_counter import FlopCounterMode

from skelab.models import create_model
from skelab.models.base import SkeletonModel
from skelab.models.causal import ModelStream

FAMILIES = ("stgcn", "ctrgcn", "msg3d")
WINDOW = 64
JOINTS, BODIES = 25, 2


def measure(name: str, rounds: int) -> dict[str, float]:
    """The figures of one family."""
    torch.manual_seed(0)
    plain = create_model(name, num_classes=60).eval().requires_grad_(False)
    causal = create_model(name, num_classes=60, causal=True).eval().requires_grad_(False)
    if not isinstance(causal, SkeletonModel):
        raise TypeError(name)
    stream = ModelStream(causal)
    frames = torch.randn(256, 1, 3, JOINTS, BODIES)
    window = torch.randn(1, 3, WINDOW, JOINTS, BODIES)
    for frame in frames[:WINDOW]:
        stream.step(frame)
    steps, windows = [], []
    for number in range(rounds):
        chunk = frames[(number * 8) % 248 :][:8]
        steps.append(seconds(partial(_steps, stream, chunk)) / 8)
        windows.append(seconds(lambda: forward(plain, window)))
    per_frame = operations(partial(_steps, stream, frames[:4])) / 4
    whole = operations(lambda: forward(plain, window))
    return {
        "ms a frame": 1000 * statistics.median(steps),
        "ms a window": 1000 * statistics.median(windows),
        "GFLOP a frame": per_frame / 1e9,
        "GFLOP a window": whole / 1e9,
        "times less work": whole / per_frame,
        "MB remembered": stream.num_bytes / 1e6,
    }


def _steps(stream: ModelStream, frames: torch.Tensor) -> None:
    for frame in frames:
        stream.step(frame)


def forward(model: torch.nn.Module, clip: torch.Tensor) -> torch.Tensor:
    """One pass over a window."""
    with torch.inference_mode():
        logits: torch.Tensor = model(clip)
    return logits


def seconds(run: Callable[[], object]) -> float:
    """How long a call takes."""
    since = time.perf_counter()
    run()
    return time.perf_counter() - since


def operations(run: Callable[[], object]) -> float:
    """Floating-point operations of a call."""
    with FlopCounterMode(display=False) as counter:
        run()
    return float(counter.get_total_flops())


def main() -> None:
    """Print a row a family."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("families", nargs="*", default=FAMILIES)
    parser.add_argument("--rounds", type=int, default=30)
    options = parser.parse_args()
    torch.set_num_threads(1)
    for name in options.families:
        found = measure(name, options.rounds)
        print(name, " · ".join(f"{key} {value:.3g}" for key, value in found.items()))


if __name__ == "__main__":
    main()
