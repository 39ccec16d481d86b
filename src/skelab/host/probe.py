"""What this machine is: processor, memory, GPUs, disk, and the limits of the container it is in.

Read from the system's own files, without PyTorch. Nothing here tells whose machine it is: no name
of a host or user, no path, no serial number.
"""

import os
import re
import resource
import shutil
import subprocess
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from skelab.host.machine import count_cores, processor_says
from skelab.host.memory import own_memory

_CGROUPS: Final = Path("/sys/fs/cgroup")
_OWN_CGROUP: Final = Path("/proc/self/cgroup")
_MEMINFO: Final = Path("/proc/meminfo")
_SHARED: Final = Path("/dev/shm")  # noqa: S108 - the system's shared memory, only looked at
_INSTRUCTIONS: Final = {
    "AVX2": "avx2",
    "AVX-512": "avx512f",
    "AVX512-BF16": "avx512_bf16",
    "AMX": "amx_tile",
}
"""Instruction sets that decide how fast a network runs, and how the system calls them."""

_TIMES: Final = Path("/proc/stat")
_WATCHED: Final = 0.2  # seconds

_ENDLESS: Final = 1 << 60  # version 1 of cgroups writes a number like this for no limit
_ASK_GPUS: Final = "name,memory.total,memory.free,compute_cap,driver_version"


@dataclass(frozen=True)
class Container:
    """What the control groups of this process allow.

    Attributes:
        memory_limit: Bytes; None for no limit.
        memory_used: Bytes that cannot be taken back; None without a limit.
        cpus: Processors' worth of time; None for no limit.
    """

    memory_limit: int | None = None
    memory_used: int | None = None
    cpus: float | None = None


@dataclass(frozen=True)
class Gpu:
    """A GPU that is there.

    Attributes:
        name: As the driver calls it.
        memory_total: Bytes.
        memory_free: Bytes that no process holds.
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
        """Whether it computes in bfloat16 by itself: from capability 8.0 on."""
        return _version(self.capability) >= (8, 0)

    @property
    def fp16(self) -> bool:
        """Whether float16 is faster on it than float32: capability 6.0, and from 7.0 on."""
        return _version(self.capability) == (6, 0) or _version(self.capability) >= (7, 0)


@dataclass(frozen=True)
class Probe:
    """This machine.

    Attributes:
        processor: Model of the processor.
        cores: Cores that this process may use.
        instructions: Instruction sets that matter to networks.
        memory_total: Bytes of RAM.
        memory_available: Bytes that a new program could take.
        container: Limits of the control groups.
        address_space: Bytes that this process may map more; None for no limit.
        disk_free: Bytes, where it was called.
        shared_total: Bytes of ``/dev/shm``, through which loader workers hand over batches; None
            where there is none.
        shared_free: Bytes of it that are free.
        load: Processes that ran or waited in the last minute; None where the system does not say.
        busy_cores: How many of the cores were computing just now; None where it does not say.
        gpus: Those that the driver shows.
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
    busy_cores: float | None
    gpus: tuple[Gpu, ...]

    @property
    def has_native_bf16(self) -> bool:
        """Whether the processor has instructions for bfloat16; without, float32 is faster."""
        return "AVX512-BF16" in self.instructions or "AMX" in self.instructions

    @property
    def usable_memory(self) -> int:
        """Bytes of RAM that a training may take: what is free, within every limit."""
        limits = [self.memory_available]
        group = self.container
        if group.memory_limit is not None:
            limits.append(group.memory_limit - (group.memory_used or 0))
        if self.address_space is not None:
            limits.append(self.address_space)
        return max(min(limits), 0)

    @property
    def usable_cores(self) -> int:
        """Threads that are worth starting: cores, within the container's share of time."""
        share = self.container.cpus
        return self.cores if share is None else max(1, min(self.cores, round(share)))

    @property
    def idle_cores(self) -> int:
        """Threads that would not wait for other programs; 1 at least.

        On a busy machine two threads that wait for each other take longer than one alone.
        """
        idle = self.cores - round(self.busy_cores or 0)
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
    memory = _memory()
    shared = _shared()
    return Probe(
        processor=processor_says("model name") or "a processor that the system does not name",
        cores=count_cores(),
        instructions=tuple(name for name, flag in _INSTRUCTIONS.items() if flag in flags),
        memory_total=memory.get("MemTotal", 0),
        memory_available=memory.get("MemAvailable", 0),
        container=read_container(),
        address_space=_address_space(),
        disk_free=shutil.disk_usage(folder).free,
        shared_total=shared and shared[0],
        shared_free=shared and shared[1],
        load=os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        busy_cores=watch_cores(),
        gpus=list_gpus(),
    )


def watch_cores(seconds: float = _WATCHED, file: Path = _TIMES) -> float | None:
    """How many of the cores that this process may use are computing, for it or for others.

    The mean over the last minute, which systems tell, would count what has just ended.

    Args:
        seconds: How long they are watched.
        file: Where the system says what each core has done.
    """
    before = _core_times(file)
    time.sleep(seconds if before else 0.0)
    after = _core_times(file)
    shares = []
    for core, (idle, spent) in after.items():
        idle_before, spent_before = before.get(core, (idle, spent))
        if spent > spent_before:
            shares.append(1 - (idle - idle_before) / (spent - spent_before))
    return sum(shares) if shares else None


def _core_times(file: Path) -> dict[int, tuple[int, int]]:
    """Of each core of this process: time that it was idle, and all time; in the system's unit."""
    if not file.is_file():
        return {}
    ours = os.sched_getaffinity(0)
    times = {}
    text = file.read_text(encoding="utf-8")
    for name, fields in re.findall(r"^cpu(\d+) ([\d ]+)$", text, re.MULTILINE):
        # user, nice, system, idle, waiting for a disk, interrupts (2), kept by the host; the rest
        # is counted among the first two as well
        spent = [int(field) for field in fields.split()][:8]
        if int(name) in ours:
            times[int(name)] = (sum(spent[3:5]), sum(spent))
    return times


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


def list_gpus(command: Sequence[str] = ("nvidia-smi",)) -> tuple[Gpu, ...]:
    """The GPUs that NVIDIA's driver shows; none where it is not installed or does not answer.

    Args:
        command: The driver's program.
    """
    if shutil.which(command[0]) is None:
        return ()
    words = [*command, f"--query-gpu={_ASK_GPUS}", "--format=csv,noheader,nounits"]
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=20, check=True)  # noqa: S603 - the driver's own program
    except (OSError, subprocess.SubprocessError):
        return ()
    return tuple(gpu for line in done.stdout.splitlines() if (gpu := _gpu(line)) is not None)


def _gpu(line: str) -> Gpu | None:
    """One line of the driver's answer; None where it does not tell the memory."""
    fields = [field.strip() for field in line.split(",")]
    if len(fields) != len(_ASK_GPUS.split(",")) or not (
        fields[1].isdigit() and fields[2].isdigit()
    ):
        return None
    name, total, free, capability, driver = fields
    return Gpu(name, int(total) * 2**20, int(free) * 2**20, capability, driver)


def _groups(root: Path, own: Path, controller: str) -> list[Path]:
    """The folders of this process's group and of those around it, as far as they can be seen."""
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
    """Limit and use of a group, bytes."""
    limit = _number(folder / "memory.max") or _number(folder / "memory.limit_in_bytes")
    if limit is None or limit >= _ENDLESS:
        return None, None
    used = _number(folder / "memory.current") or _number(folder / "memory.usage_in_bytes") or 0
    stat = folder / "memory.stat"
    text = stat.read_text(encoding="utf-8") if stat.is_file() else ""
    cached = re.search(r"^(?:total_)?inactive_file (\d+)$", text, flags=re.MULTILINE)
    return limit, max(used - int(cached[1] if cached else 0), 0)


def _cpus_of(folder: Path) -> float | None:
    """Processors' worth of time that a group gets."""
    both = folder / "cpu.max"
    if both.is_file():
        quota, _, period = both.read_text(encoding="utf-8").strip().partition(" ")
        return int(quota) / int(period) if quota.isdigit() and period.isdigit() else None
    share = _number(folder / "cpu.cfs_quota_us")
    length = _number(folder / "cpu.cfs_period_us")
    return share / length if share and length else None


def _number(file: Path) -> int | None:
    """The one number of a file; None where it is not there, or says that there is no limit."""
    try:
        text = file.read_text(encoding="utf-8").strip()
    except OSError:
        return None
    return int(text) if text.isdigit() else None


def _memory() -> dict[str, int]:
    """What the system says of its RAM, bytes by name."""
    if not _MEMINFO.is_file():
        return {}
    found = re.findall(r"^(\w+):\s+(\d+) kB", _MEMINFO.read_text(encoding="utf-8"), re.MULTILINE)
    return {name: int(kilobytes) * 1024 for name, kilobytes in found}


def _address_space() -> int | None:
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    if limit == resource.RLIM_INFINITY:
        return None
    return max(limit - (own_memory("VmSize") or 0), 0)


def _shared() -> tuple[int, int] | None:
    """Size and free bytes of the shared memory."""
    try:
        found = os.statvfs(_SHARED)
    except OSError:
        return None
    return found.f_blocks * found.f_frsize, found.f_bavail * found.f_frsize


def _version(text: str) -> tuple[int, int]:
    major, _, minor = text.partition(".")
    return (int(major) if major.isdigit() else 0, int(minor) if minor.isdigit() else 0)
