"""How far preprocessing, feeder and networks are from the authors' code, in figures.

Compares with the saved outputs in ``tests/golden``; the limits are those of ``tests/parity``.

    python benchmarks/parity_figures.py
"""

import sys
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from golden_kit import GOLDEN, golden_input, golden_model, read_arrays, relative_error
from parity.test_feeder import arrays, authors_rows, padded

from skelab.data.feeding.feeder import Feeder, FeederConfig
from skelab.data.feeding.streams import Stream
from skelab.models import list_models
from skelab.skeleton import get_layout

SUBSETS = {
    Stream.JOINT: "joint",
    Stream.BONE: "bone_subset",
    Stream.JOINT_MOTION: "vel_subset",
    Stream.BONE_MOTION: "bone_vel_subset",
}


def feeder_error(stream: Stream) -> float:
    """Largest absolute difference on the authors' test split."""
    golden = arrays("test_split")
    every = np.arange(len(golden["joint"]))
    rows = every if stream is Stream.JOINT else golden["subset_rows"]
    clips = padded(authors_rows("test")[rows])
    batch = Feeder(FeederConfig(stream=stream), get_layout("ntu25")).evaluation_batch(clips)
    return float(np.abs(batch.joints.numpy() - golden[SUBSETS[stream]]).max())


def network_error(name: str, dtype: torch.dtype) -> float:
    """Largest relative difference of eval and train logits over both inputs."""
    suffix = "f32" if dtype is torch.float32 else "f64"
    worst = 0.0
    for file in sorted((GOLDEN / name).glob("io_n*.npz")):
        case = file.stem.removeprefix("io_")
        expected = read_arrays(name, f"io_{case}")
        model, x = golden_model(name, dtype), golden_input(name, case, dtype)
        with torch.no_grad():
            for mode, training in (("eval", False), ("train", True)):
                logits = model.train(training)(x)
                error = relative_error(logits, expected[f"logits_{mode}_{suffix}"])
                worst = max(worst, error)
    return worst


def main() -> None:
    """Print both tables as Markdown."""
    print("| feeder, stream | largest absolute difference | limit |\n|---|---|---|")
    for stream in Stream:
        print(f"| {stream} | {feeder_error(stream):.1e} | 5e-6 |")
    print("\n| network | parameters | logits, float32 | limit | float64 | limit |")
    print("|---|---|---|---|---|---|")
    for card in list_models():
        single, double = (network_error(card.name, kind) for kind in (torch.float32, torch.float64))
        limit = "5e-9" if card.name == "shiftgcn" else "1e-9"
        print(
            f"| {card.title} (`{card.name}`) | {card.num_parameters:,} | {single:.1e} | 1e-5 |"
            f" {double:.1e} | {limit} |"
        )


if __name__ == "__main__":
    main()
