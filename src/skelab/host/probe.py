"""A description of this machine: processor, memory, GPUs, disk, and limits of its container.

Most of it comes from psutil and NVIDIA's management library; limits of control groups are read from
the file system. PyTorch is not needed. The description is anonymous: no host or user name, no path,
no serial number.
"""

import os
import re
import resource
import shutil
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import psutil
import pynvml

from skelab.host.machine import count_cores, processor_says

_CGROUPS: Final = Path("/sys/fs/cgroup")
_OWN_CGROUP: Final = Path("/proc/self/cgroup")
_SHARED: Final = Path("/dev/shm")  # noqa: S108 - the system's shared memory, only looked at
_INSTRUCTIONS: Final = {
    "AVX2": "avx2",
    "AVX-512": "avx512f",
    "AVX512-BF16": "avx512_bf16",
    "AMX": "amx_tile",
}
"""Instruction sets that matter for the speed of a network, with their CPU flags."""

_WATCHED: Final = 0.2  # seconds

_ENDLESS: Final = 1 << 60  # cgroups v1 reports a number of this size for no limit


@dataclass(frozen=True)
class Container:
    """Limits of the control groups of this process.

    Attributes:
        memory_limit: Bytes; None for no limit.
        memory_used: Bytes that cannot be reclaimed; None without a limit.
        cpus: CPU quota in cores; None for no limit.
    """

    memory_limit: int | None = None
    memory_used: int | None = None
    cpus: float | None = None


@dataclass(frozen=True)
class Gpu:
    """A GPU of this machine.

    Attributes:
        name: Name according to the driver.
        memory_total: Memory, bytes.
        memory_free: Free memory, bytes.
        capability: Compute capability, say ``8.6``.
        driver: Version of the driver.
    """

    name: str
    memory_total: int
    memory_free: int
    capability: str
    driver: str

    @property
    def bf16(self) -> bool:
        """Whether it has bfloat16 instructions: compute capability 8.0 or higher."""
        return _version(self.capability) >= (8, 0)

    @property
    def fp16(self) -> bool:
        """Whether float16 is faster than float32: compute capability 6.0, and 7.0 or higher."""
        return _version(self.capability) == (6, 0) or _version(self.capability) >= (7, 0)


@dataclass(frozen=True)
class Probe:
    """This machine.

    Attributes:
        processor: Model of the processor.
        cores: Cores that this process may use.
        instructions: Instruction sets that matter for networks.
        memory_total: Bytes of RAM.
        memory_available: RAM available to a new program, bytes.
        container: Limits of the control groups.
        address_space: Remaining address space of this process, bytes; None for no limit.
        disk_free: Free disk space in the current folder, bytes.
        shared_total: Bytes of ``/dev/shm``, through which loader workers hand over batches; None
            where there is none.
        shared_free: Bytes of it that are free.
        load: Load average of the last minute; None where the system does not report it.
        busy_cores: Number of cores that are busy at the moment.
        gpus: The GPUs that the driver reports.
    """

    processor: str
    cores: int
    instructions: tuple[str, ...]
    memory_total: int
    memory_available: int
    container: Container
    address_space: int | None
    disk_free: int
    shared_total: int | None
    shared_free: int | None
    load: float | None
    busy_cores: float
    gpus: tuple[Gpu, ...]

    @property
    def has_native_bf16(self) -> bool:
        """Whether the processor has bfloat16 instructions; otherwise float32 is faster."""
        return "AVX512-BF16" in self.instructions or "AMX" in self.instructions

    @property
    def usable_memory(self) -> int:
        """Memory that a training may use: free RAM within all limits, bytes."""
        limits = [self.memory_available]
        group = self.container
        if group.memory_limit is not None:
            limits.append(group.memory_limit - (group.memory_used or 0))
        if self.address_space is not None:
            limits.append(self.address_space)
        return max(min(limits), 0)

    @property
    def usable_cores(self) -> int:
        """Useful number of threads: cores within the container's CPU quota."""
        share = self.container.cpus
        return self.cores if share is None else max(1, min(self.cores, round(share)))

    @property
    def idle_cores(self) -> int:
        """Number of threads that need not wait for other programs, at least 1.

        On a busy machine two threads that wait for each other are slower than one.
        """
        idle = self.cores - round(self.busy_cores)
        return max(1, min(self.usable_cores, idle))

    def to_dict(self) -> dict[str, Any]:
        """The machine as a JSON object."""
        gpus = [{**asdict(gpu), "bf16": gpu.bf16, "fp16": gpu.fp16} for gpu in self.gpus]
        derived = {"usable_memory": self.usable_memory, "usable_cores": self.usable_cores}
        return {**asdict(self), "gpus": gpus, **derived}


def probe(folder: Path = Path()) -> Probe:
    """This machine, as the system describes it; takes as long as it is watched for other programs.

    Args:
        folder: Its disk is the one that counts.
    """
    flags = processor_says("flags").split()
    memory = psutil.virtual_memory()
    shared = _shared()
    return Probe(
        processor=processor_says("model name") or "a processor that the system does not name",
        cores=count_cores(),
        instructions=tuple(name for name, flag in _INSTRUCTIONS.items() if flag in flags),
        memory_total=memory.total,
        memory_available=memory.available,
        container=read_container(),
        address_space=_address_space(),
        disk_free=shutil.disk_usage(folder).free,
        shared_total=shared and shared[0],
        shared_free=shared and shared[1],
        load=os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        busy_cores=watch_cores(),
        gpus=list_gpus(),
    )


def watch_cores(seconds: float = _WATCHED) -> float:
    """How many of the cores that this process may use are computing, for it or for others.

    The system's own load average covers the last minute, and so counts programs that have just
    ended.

    Args:
        seconds: How long the cores are watched.
    """
    shares = psutil.cpu_percent(seconds, percpu=True)
    own = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else range(len(shares))
    return sum(share for core, share in enumerate(shares) if core in own) / 100


def read_container(root: Path = _CGROUPS, own: Path = _OWN_CGROUP) -> Container:
    """The tightest limits of the control groups that this process is in, of version 1 or 2.

    Args:
        root: Where the groups are mounted.
        own: The file that names this process's groups.
    """
    memory = [_memory_of(folder) for folder in _groups(root, own, "memory")]
    limited = [(limit, used) for limit, used in memory if limit is not None]
    shares = [_cpus_of(folder) for folder in _groups(root, own, "cpu")]
    limit, used = min(limited, key=lambda pair: pair[0] - (pair[1] or 0), default=(None, None))
    return Container(limit, used, min((share for share in shares if share), default=None))


def list_gpus() -> tuple[Gpu, ...]:
    """The GPUs that NVIDIA's driver reports; none if it is missing or does not respond."""
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return ()
    found = []
    try:
        for number in range(pynvml.nvmlDeviceGetCount()):
            with suppress(pynvml.NVMLError):  # a device without known memory is left out
                found.append(_gpu(pynvml.nvmlDeviceGetHandleByIndex(number)))
    finally:
        pynvml.nvmlShutdown()
    return tuple(found)


def _gpu(handle: object) -> Gpu:
    memory = pynvml.nvmlDeviceGetMemoryInfo(handle)
    major, minor = pynvml.nvmlDeviceGetCudaComputeCapability(handle)
    return Gpu(
        name=pynvml.nvmlDeviceGetName(handle),
        memory_total=int(memory.total),
        memory_free=int(memory.free),
        capability=f"{major}.{minor}",
        driver=pynvml.nvmlSystemGetDriverVersion(),
    )


def _groups(root: Path, own: Path, controller: str) -> list[Path]:
    """The visible folders of this process's control group and its ancestors."""
    paths = {controller: "/"}
    lines = own.read_text(encoding="utf-8").splitlines() if own.is_file() else []
    for line in lines:
        _, _, rest = line.partition(":")
        names, _, path = rest.partition(":")
        if names == "" or controller in names.split(","):
            paths["" if names == "" else controller] = path
    folders = []
    for name, path in paths.items():
        base = root / name if name else root
        inner = base / path.strip("/")
        folders += [folder for folder in (inner, *inner.parents) if folder.is_relative_to(base)]
    return folders


def _memory_of(folder: Path) -> tuple[int | None, int | None]:
    """Memory limit and usage of a control group, bytes."""
    limit = _number(folder / "memory.max") or _number(folder / "memory.limit_in_bytes")
    if limit is None or limit >= _ENDLESS:
        return None, None
    used = _number(folder / "memory.current") or _number(folder / "memory.usage_in_bytes") or 0
    stat = folder / "memory.stat"
    text = stat.read_text(encoding="utf-8") if stat.is_file() else ""
    cached = re.search(r"^(?:total_)?inactive_file (\d+)$", text, flags=re.MULTILINE)
    return limit, max(used - int(cached[1] if cached else 0), 0)


def _cpus_of(folder: Path) -> float | None:
    """CPU quota of a control group, in cores."""
    both = folder / "cpu.max"
    if both.is_file():
        quota, _, period = both.read_text(encoding="utf-8").strip().partition(" ")
        return int(quota) / int(period) if quota.isdigit() and period.isdigit() else None
    share = _number(folder / "cpu.cfs_quota_us")
    length = _number(folder / "cpu.cfs_period_us")
    return share / length if share and length else None


def _number(file: Path) -> int | None:
    """The number in a file; None if the file is missing or states no limit."""
    try:
        text = file.read_text(encoding="utf-8").strip()
    except OSError:
        return None
    return int(text) if text.isdigit() else None


def _address_space() -> int | None:
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    if limit == resource.RLIM_INFINITY:
        return None
    return max(limit - psutil.Process().memory_info().vms, 0)


def _shared() -> tuple[int, int] | None:
    """Size and free space of the shared memory, bytes."""
    try:
        found = os.statvfs(_SHARED)
    except OSError:
        return None
    return found.f_blocks * found.f_frsize, found.f_bavail * found.f_frsize


def _version(text: str) -> tuple[int, int]:
    major, _, minor = text.partition(".")
    return (int(major) if major.isdigit() else 0, int(minor) if minor.isdigit() else 0)
