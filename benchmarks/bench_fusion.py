"""Side-cars and their controls on synthetic clips whose bounds are known.

Run: python benchmarks/bench_fusion.py --out DIR
"""

import argparse
import shutil
from pathlib import Path

from skelab.data.clips.store import open_store
from skelab.fusion import FUSERS, extract_features
from skelab.recipes import Recipe
from skelab.runs.controls import CONTROLS
from skelab.runs.evaluate import evaluate_run
from skelab.runs.train import train_recipe
from skelab.synthetic.pictured import PICTURE_BOUND, SKELETON_BOUND, write_pictured


def recipe(kind: str, side_cars: Path, epochs: int, seed: int) -> Recipe:
    """A small ST-GCN with one fuser."""
    return Recipe.model_validate(
        {
            "name": "pictured",
            "model": {"name": "stgcn", "width": 8},
            "data": {
                "split": "subject:1-6/7-10",
                "window": 20,
                "validation_subjects": 1,
                "rotation": 0,
                "train_crop": [0.9, 1.0],
                "eval_crop": 1.0,
            },
            "training": {
                "epochs": epochs,
                "batch_size": 32,
                "optimizer": "adamw",
                "nesterov": False,
                "learning_rate": 0.003,
                "schedule": "cosine",
                "warmup_epochs": 1,
                "seed": seed,
            },
            "fusion": {"kind": kind, "side_car": str(side_cars), "drop": 0.3},
        }
    )


def main() -> None:
    """Make the clips, describe the pictures, train each fuser, print its controls."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--clips", type=int, default=800)
    parser.add_argument("--epochs", type=int, default=16)
    parser.add_argument("--encoder", default="hog")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--fusers", nargs="+", default=list(FUSERS))
    asked = parser.parse_args()
    path = asked.out / "clips.arrow"
    if not path.exists():
        write_pictured(asked.out, clips=asked.clips)
    store, side_cars = open_store(path), asked.out / f"{asked.encoder}.arrow"
    if not side_cars.exists():
        extract_features(asked.out / "pictures", side_cars, encoder=asked.encoder)
    print(f"bounds: skeleton only {SKELETON_BOUND:.1%}, pictures only {PICTURE_BOUND:.1%}")
    first: Path | None = None
    for kind in asked.fusers:
        run = asked.out / f"run-{kind}-{asked.seed}"
        if first is not None and not run.exists():  # the controls are the same for every fuser
            shutil.copytree(first / CONTROLS, run / CONTROLS)
        first = first or run
        made = recipe(kind, side_cars, asked.epochs, asked.seed)
        train_recipe(made, store, run, resume=(run / "recipe.yaml").exists())
        controls = evaluate_run(run, store).controls
        if controls is None:
            raise SystemExit(f"{run}: no controls")
        print(f"SYNTHETIC, {controls.title}")
        for row in controls.cells()[1]:
            print("| " + " | ".join(row) + " |")


if __name__ == "__main__":
    main()
