"""What the families cost, as measured once on a machine that is named."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

MEASURED_FILE: Final = Path(__file__).with_name("measured.json")
"""The figures, written by ``benchmarks/measure_families.py``."""


@dataclass(frozen=True)
class FamilyCost:
    """What a family with its default options costs, for a clip of two bodies and 60 classes.

    Attributes:
        frames: Frames of the clip, those of the family's recipe.
        layout: Joints of the clip.
        gflops: Billions of operations of a clip; a multiply-add counts as two.
        ms: Milliseconds of processor time of a clip, on one thread, in float32.
        mb: Megabytes of the weights in float32.
    """

    frames: int
    layout: str
    gflops: float
    ms: float
    mb: float


@dataclass(frozen=True)
class MeasuredFamilies:
    """The costs of the families, and where they were measured.

    Attributes:
        machine: Processor.
        torch: Version of PyTorch.
        command: What measures them again.
        families: Costs by family.
    """

    machine: str
    torch: str
    command: str
    families: Mapping[str, FamilyCost]


@cache
def measured_families() -> MeasuredFamilies:
    """The costs that come with the lab."""
    found = json.loads(MEASURED_FILE.read_text(encoding="utf-8"))
    families = {name: FamilyCost(**entry) for name, entry in found["families"].items()}
    return MeasuredFamilies(found["machine"], found["torch"], found["command"], families)
