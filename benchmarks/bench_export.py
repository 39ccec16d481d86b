"""What int8 costs: top-1 of a network as checkpoint and as exported files, on the same clips.

Without arguments a CTR-GCN is trained on synthetic clips first, as `skelab demo` does. With `--run`
and `--data` a trained network of yours is measured on the test part of its own split. The graphs
are calibrated with clips of the training part.

    python benchmarks/bench_export.py
    python benchmarks/bench_export.py --run runs/utd --data utd.arrow
"""

import argparse
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from jaxtyping import Float32, Int64
from numpy import ndarray

from skelab.data.clips.opened_clips import OpenedClips
from skelab.data.opened import open_clips
from skelab.evaluation import Scores
from skelab.export import export_checkpoint
from skelab.inference import Network, open_network, read_checkpoint
from skelab.recipes import load_recipe
from skelab.runs.evaluate import recipe_of
from skelab.runs.parts import choose_parts
from skelab.runs.synthetic import synthetic_store
from skelab.runs.train import train_recipe

FORMS = (
    ("onnx", "fp32", ".onnx"),
    ("openvino", "fp32", ".xml"),
    ("torch", "fp32", ".pt2"),
    ("onnx", "int8", ".onnx"),
    ("openvino", "int8", ".xml"),
)


@dataclass(frozen=True)
class Row:
    """One form of the network.

    Attributes:
        form: What runs it, and its precision.
        megabytes: Size of its files.
        top1: Share of the test clips whose class it names.
        top5: Share of those whose class is among its five likeliest.
        same: Share of the test clips that it puts into the class of the checkpoint.
        deviation: Largest difference from the checkpoint's logits, as a share of the largest logit.
    """

    form: str
    megabytes: float
    top1: float
    top5: float
    same: float
    deviation: float


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--run", type=Path, help="run folder or checkpoint; trained here if left out"
    )
    parser.add_argument("--data", type=Path, help="the clip store that it was trained on")
    parser.add_argument("--calibration-clips", type=int, default=128)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    with TemporaryDirectory() as name:
        folder = Path(name)
        if arguments.run is None:
            run, store = train_on_synthetic_clips(folder)
        else:
            run, store = arguments.run, open_clips(arguments.data)
        rows, title = measure(run, store, folder, arguments.calibration_clips)
    if arguments.json:
        print(json.dumps({"title": title, "rows": [asdict(row) for row in rows]}))
        return
    print(f"\n### {title}\n")
    print("| form | MB | top-1 | top-5 | same class as the checkpoint | largest difference |")
    print("|---|---|---|---|---|---|")
    for row in rows:
        print(
            f"| {row.form} | {row.megabytes:.1f} | {row.top1:.2%} | {row.top5:.2%} |"
            f" {row.same:.2%} | {row.deviation:.1e} |"
        )


def train_on_synthetic_clips(folder: Path) -> tuple[Path, OpenedClips]:
    """The recipe of the demo on the clips of the demo."""
    store = synthetic_store(folder / "synthetic")
    run = folder / "run"
    train_recipe(load_recipe("ctrgcn-demo"), store, run)
    return run, store


def measure(
    run: Path, store: OpenedClips, folder: Path, calibration_clips: int
) -> tuple[list[Row], str]:
    """One row for each form, and a title that says on what."""
    checkpoint = read_checkpoint(run)
    network = open_network(checkpoint)
    rows = choose_parts(recipe_of(network, None), store).test
    labels = store.index.labels[rows]
    eager = scores(network, store, rows)
    weights = sum(value.numel() * value.element_size() for value in checkpoint.weights.values())
    made = [row("checkpoint, fp32", weights, eager, eager, labels)]
    for to, precision, suffix in FORMS:
        report = export_checkpoint(  # refuses what is too far from the checkpoint
            run,
            folder / f"net-{precision}{suffix}",
            to=to,
            precision=precision,
            calibrate=store if precision == "int8" else None,
            calibration_clips=calibration_clips,
        )
        found = scores(open_network(report.path, trust=True), store, rows)
        made.append(row(f"{to}, {precision}", report.num_bytes, found, eager, labels))
    clips = "SYNTHETIC clips" if store.info.synthetic else f"clips of {store.info.dataset}"
    return made, f"{checkpoint.model.name}, {len(rows):,} test {clips}"


def scores(
    network: Network, store: OpenedClips, rows: Int64[ndarray, " N"]
) -> Float32[ndarray, "N K"]:
    """Logits of rows of a store."""
    scored = network.scores(store, rows, split="recipe", part="test")
    assert isinstance(scored, Scores)  # noqa: S101 - these networks classify
    return scored.logits


def row(
    form: str,
    num_bytes: int,
    found: Float32[ndarray, "N K"],
    eager: Float32[ndarray, "N K"],
    labels: Int64[ndarray, " N"],
) -> Row:
    """The figures of one form."""
    return Row(
        form=form,
        megabytes=num_bytes / 1e6,
        top1=share_within(found, labels, 1),
        top5=share_within(found, labels, 5),
        same=float((found.argmax(axis=1) == eager.argmax(axis=1)).mean()),
        deviation=float(np.abs(found - eager).max() / np.abs(eager).max()),
    )


def share_within(
    logits: Float32[ndarray, "N K"], labels: Int64[ndarray, " N"], places: int
) -> float:
    """The share of clips whose label is among that many highest logits."""
    own = np.take_along_axis(logits, labels[:, None], axis=1)
    return float(((logits > own).sum(axis=1) < places).mean())


if __name__ == "__main__":
    main()
