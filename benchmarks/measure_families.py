"""What each family costs: operations of a clip, processor time, and megabytes of weights.

Writes ``src/skelab/models/measured.json``, from which ``skelab models`` compares the families. A
clip has the window of the family's recipe, two bodies, the joints of its usual layout and 60
classes. Time is processor time on one thread, which other programs disturb less than a clock.

    python benchmarks/measure_families.py
    python benchmarks/measure_families.py --only ctrgcn posec3d
"""

import argparse
import json
import statistics
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from skelab.host.machine import describe_machine
from skelab.models import create_model, list_models
from skelab.models.measured import MEASURED_FILE
from skelab.recipes import load_recipe

ROUNDS = 3
CLASSES, BODIES = 60, 2
FLAT = {"posec3d": "coco17"}  # families of 2D poses
COMMAND = "python benchmarks/measure_families.py"


def measure(name: str) -> dict[str, Any]:
    """Operations and processor time of one clip, and the megabytes of the weights."""
    recipe = load_recipe(name)
    frames, layout = recipe.data.window, FLAT.get(name, "ntu25")
    torch.manual_seed(0)
    model = create_model(name, num_classes=CLASSES, layout=layout, max_bodies=BODIES).eval()
    model.requires_grad_(False)
    shape = (1, *model.input_norm.clip_shape)  # type: ignore[union-attr,misc]
    x = torch.randn(shape[0], shape[1], frames, shape[2], shape[3])
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), counter:
        model(x)
    seconds = []
    with torch.inference_mode():
        for _ in range(ROUNDS):
            begin = time.process_time()
            model(x)
            seconds.append(time.process_time() - begin)
    weights = sum(each.numel() * each.element_size() for each in model.state_dict().values())
    return {
        "frames": frames,
        "layout": layout,
        "gflops": round(counter.get_total_flops() / 1e9, 3),
        "ms": round(1000 * statistics.median(seconds), 1),
        "mb": round(weights / 1e6, 1),
    }


def main(argv: list[str]) -> None:
    """Measure the families that are asked for, and keep what is known of the others."""
    parser = argparse.ArgumentParser(description=__doc__)
    known = [card.name for card in list_models()]
    parser.add_argument("--only", nargs="+", choices=known, default=known)
    parser.add_argument("--out", type=Path, default=MEASURED_FILE)
    asked = parser.parse_args(argv)
    torch.set_num_threads(1)
    found: Mapping[str, Any] = json.loads(asked.out.read_text()) if asked.out.is_file() else {}
    families = dict(found.get("families", {}))
    for name in asked.only:
        families[name] = measure(name)
        print(name, families[name], flush=True)
        written = {
            "machine": describe_machine(1).processor,
            "torch": torch.__version__.partition("+")[0],
            "command": COMMAND,
            "families": dict(sorted(families.items())),
        }
        asked.out.write_text(json.dumps(written, indent=1) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
