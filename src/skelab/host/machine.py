"""The machine of a measurement: processor, threads, versions."""

import os
import platform
from dataclasses import dataclass
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

_PROCESSORS = Path("/proc/cpuinfo")
_RUNTIMES = ("torch", "onnxruntime", "openvino")


@dataclass(frozen=True)
class Machine:
    """The facts that a table of times needs.

    Attributes:
        processor: Model name, as reported by the system.
        cores: Cores that this process may use.
        threads: Threads that a computation uses.
        load: Load average of the minute before the measurement; None where the system does not
            report it.
        bf16: Whether the processor has bfloat16 instructions.
        versions: Versions of the installed libraries that compute.
    """

    processor: str
    cores: int
    threads: int
    load: float | None
    bf16: bool
    versions: dict[str, str]

    @property
    def title(self) -> str:
        """The machine in one line."""
        versions = ", ".join(f"{name} {version}" for name, version in self.versions.items())
        load = "" if self.load is None else f", load {self.load:.1f} before"
        return f"{self.processor}, {self.cores} cores, {self.threads} threads{load}; {versions}"


def describe_machine(threads: int | None = None) -> Machine:
    """Describe this machine; ``threads`` are those of a computation, all cores by default."""
    cores = count_cores()
    flags = processor_says("flags").split()
    return Machine(
        processor=processor_says("model name") or platform.processor() or platform.machine(),
        cores=cores,
        threads=threads or cores,
        load=os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        bf16=any(flag in flags for flag in ("avx512_bf16", "amx_bf16")),
        versions={name: metadata.version(name) for name in _RUNTIMES if find_spec(name)},
    )


def count_cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def processor_says(key: str) -> str:
    """A field of ``/proc/cpuinfo`` for the first processor, say ``flags``; empty if missing."""
    if not _PROCESSORS.is_file():
        return ""
    for line in _PROCESSORS.read_text(encoding="utf-8", errors="replace").splitlines():
        name, _, value = line.partition(":")
        if name.strip() == key:
            return value.strip()
    return ""
