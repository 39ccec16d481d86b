"""GPUs by name, and amounts of memory as users write them."""

import math
import re
from dataclasses import dataclass, replace
from difflib import get_close_matches
from functools import cache
from importlib import resources
from typing import Any, Final

import yaml

from skelab.errors import GpuError
from skelab.training.config import Precision

GIB: Final = 2**30
MIB: Final = 2**20

_UNITS: Final = {"gb": GIB, "gib": GIB, "mb": MIB, "mib": MIB}
_LEAST, _MOST = 256 * MIB, 1024 * GIB
_ECC_SHARE: Final = 1 / 16
_MAKERS: Final = r"nvidia|geforce|quadro|tesla|graphics|card|gpu|\(r\)|\(tm\)"
_BF16_FROM: Final = (8, 0)


@dataclass(frozen=True)
class GpuModel:
    """A GPU according to its data sheet.

    Attributes:
        name: Name without maker and series.
        memory: Memory of the card, bytes.
        bandwidth: Bytes per second.
        flops: Operations per second in float32, outside the tensor cores.
        half_flops: Operations per second in float16, sums in float32, without sparsity.
        capability: Compute capability, major and minor.
        has_tensor_cores: Whether tensor cores compute float16.
        has_ecc: Whether error correction takes a sixteenth of the memory.
        is_laptop: Whether its clock depends on the power limit of a laptop.
        is_typical: Whether it represents cards of its memory size.
        source: Source of the figures.
        checked: What the figures were checked against, if anything.
    """

    name: str
    memory: int
    bandwidth: float
    flops: float
    half_flops: float
    capability: tuple[int, int]
    has_tensor_cores: bool
    has_ecc: bool
    is_laptop: bool
    is_typical: bool
    source: str
    checked: str | None = None

    @property
    def usable(self) -> int:
        """Memory available to programs, including the driver's, bytes."""
        return int(self.memory * (1 - _ECC_SHARE)) if self.has_ecc else self.memory

    def lacks(self, precision: Precision) -> str:
        """The reason why it cannot compute in a precision; empty if it can."""
        if precision is Precision.BF16 and self.capability < _BF16_FROM:
            major, minor = self.capability
            return (
                f"{self.name} has no bfloat16: its compute capability is {major}.{minor}, and that"
                f" takes {_BF16_FROM[0]}.{_BF16_FROM[1]}; fp16 works"
            )
        return ""


@cache
def list_gpu_models() -> tuple[GpuModel, ...]:
    """All GPUs of the table: series by series, small ones first."""
    text = (resources.files("skelab.fit") / "gpus.yaml").read_text(encoding="utf-8")
    table = yaml.safe_load(text)
    return tuple(_gpu(entry, table["sources"], table["checks"]) for entry in table["gpus"])


def find_gpu(name: str, memory: int | None = None) -> GpuModel:
    """Find a GPU by name; case, spaces, "NVIDIA" and "GeForce" are ignored.

    Args:
        name: Say ``RTX 3060``, ``geforce rtx3060`` or ``NVIDIA A100-SXM4-40GB``.
        memory: Memory of the card if it differs, bytes. A variant of the name with this memory is
            preferred; otherwise the memory of the named GPU is replaced.

    Raises:
        GpuError: No GPU of that name is in the table; the message names the nearest.
    """
    wanted, named_memory = _parsed(name)
    series = ("", "rtx", "gtx")  # as in "3060"
    variants = [
        gpu for gpu in list_gpu_models() if _parsed(gpu.name)[0] in [s + wanted for s in series]
    ]
    if not wanted or not variants:
        raise GpuError(_unknown(name, wanted))
    memory = memory or named_memory
    for gpu in variants:
        if gpu.memory == memory:
            return gpu
    plain = [gpu for gpu in variants if _parsed(gpu.name)[1] is None]
    gpu = plain[0] if plain else min(variants, key=lambda variant: variant.memory)
    return gpu if memory is None else replace(gpu, memory=memory)


def typical_gpu(memory: int) -> GpuModel:
    """The card that represents those of about this memory size, with exactly this memory."""
    typical = [gpu for gpu in list_gpu_models() if gpu.is_typical]
    nearest = min(typical, key=lambda gpu: abs(math.log(gpu.memory / memory)))
    return replace(nearest, memory=memory)


def parse_memory(text: str) -> int:
    """Parse an amount of memory with its unit: GB, GiB, MB or MiB; returns bytes.

    A GB is 2**30 bytes, as cards are sold, and an MB 2**20.

    Raises:
        GpuError: There is no number or no unit, or the amount is out of range.
    """
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([a-z]*)\s*", text.lower())
    if match is None:
        raise GpuError(f"memory: expected a number and its unit, say 8GB, found {text!r}")
    number, unit = match.groups()
    if unit not in _UNITS:
        found = f"the unit {unit!r}" if unit else "none"
        raise GpuError(
            f"memory {text.strip()}: expected a unit, GB, GiB, MB or MiB, found {found};"
            f" say {number}GB"
        )
    size = int(float(number) * _UNITS[unit])
    if not _LEAST <= size <= _MOST:
        raise GpuError(f"memory {text.strip()}: expected 256 MB to 1024 GB")
    return size


def _gpu(entry: dict[str, Any], sources: dict[str, str], checks: dict[str, str]) -> GpuModel:
    major, minor = entry["capability"].split(".")
    return GpuModel(
        name=entry["name"],
        memory=entry["memory"] * GIB,
        bandwidth=entry["bandwidth"] * 1e9,
        flops=entry["fp32"] * 1e12,
        half_flops=entry["half"] * 1e12,
        capability=(int(major), int(minor)),
        has_tensor_cores=not entry.get("ordinary", False),
        has_ecc=entry.get("ecc", False),
        is_laptop=entry.get("laptop", False),
        is_typical=entry.get("typical", False),
        source=sources[entry["source"]],
        checked=checks[entry["checked"]] if "checked" in entry else None,
    )


def _parsed(name: str) -> tuple[str, int | None]:
    """A normalised name, and the memory that it contains, bytes."""
    text = re.sub(_MAKERS, " ", name.lower())
    text = re.sub(r"\b(mobile|notebook|max-q)\b", "laptop", text)
    sizes = re.findall(r"(?<![a-z0-9])(\d+)\s*gi?b\b", text)
    text = re.sub(r"(?<![a-z0-9])\d+\s*gi?b\b|\bsxm\d?\b|\bhbm\d?\w?\b", " ", text)
    key = re.sub(r"[^a-z0-9]", "", text)
    key = key.removesuffix("pcie") if not key.startswith("h100") else key
    return key, int(sizes[0]) * GIB if sizes else None


def _unknown(name: str, wanted: str) -> str:
    keys: dict[str, str] = {}
    for gpu in list_gpu_models():
        keys.setdefault(_parsed(gpu.name)[0], gpu.name)
    near = [keys[key] for key in get_close_matches(wanted, keys, n=4, cutoff=0.5)]
    hint = f"the nearest known ones: {', '.join(near)}" if near else "nothing known is near it"
    return f"unknown GPU {name!r}; {hint}; --vram alone predicts for any card with that memory"
