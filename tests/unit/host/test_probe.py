"""What this machine is, read from files that the tests make up."""

import getpass
import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import psutil
import pynvml
import pytest

from skelab.host import probe as probe_module
from skelab.host.probe import Container, Gpu, list_gpus, probe, read_container, watch_cores

GIB = 2**30
MACHINE = probe()


def groups(root: Path, files: dict[str, str]) -> Path:
    """A tree of control groups; returns where it is mounted."""
    for name, text in files.items():
        path = root / "cgroup" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n")
    return root / "cgroup"


def own(root: Path, text: str) -> Path:
    file = root / "own"
    file.write_text(text)
    return file


def test_the_tightest_of_nested_groups_counts(tmp_path: Path) -> None:
    root = groups(
        tmp_path,
        {
            "a/memory.max": str(4 * GIB),
            "a/memory.current": str(GIB),
            "a/cpu.max": "max 100000",
            "a/b/memory.max": "max",
            "a/b/cpu.max": "150000 100000",
        },
    )

    found = read_container(root, own(tmp_path, "0::/a/b\n"))

    assert found == Container(4 * GIB, GIB, 1.5)


def test_cached_files_are_no_use_of_memory(tmp_path: Path) -> None:
    files = {
        "memory.max": str(4 * GIB),
        "memory.current": str(3 * GIB),
        "memory.stat": f"anon 1\ninactive_file {2 * GIB}\n",
    }

    found = read_container(groups(tmp_path, files), own(tmp_path, "0::/gone\n"))

    assert found == Container(4 * GIB, GIB, None)


def test_the_first_version_of_groups_is_read_too(tmp_path: Path) -> None:
    files = {
        "memory/x/memory.limit_in_bytes": str(2 * GIB),
        "memory/x/memory.usage_in_bytes": str(GIB // 2),
        "memory/memory.limit_in_bytes": "9223372036854771712",
        "cpu/x/cpu.cfs_quota_us": "50000",
        "cpu/x/cpu.cfs_period_us": "100000",
        "cpu/cpu.cfs_quota_us": "-1",
    }

    found = read_container(groups(tmp_path, files), own(tmp_path, "4:memory:/x\n3:cpu:/x\n"))

    assert found == Container(2 * GIB, GIB // 2, 0.5)


def test_a_machine_without_groups_has_no_limits(tmp_path: Path) -> None:
    assert read_container(tmp_path / "none", tmp_path / "none") == Container()


def test_memory_to_use_is_what_is_free_within_every_limit() -> None:
    free = replace(MACHINE, memory_available=16 * GIB, container=Container(), address_space=None)
    grouped = replace(free, container=Container(6 * GIB, 2 * GIB))
    bounded = replace(grouped, address_space=GIB)

    found = [machine.usable_memory for machine in (free, grouped, bounded)]

    assert found == [16 * GIB, 4 * GIB, GIB]


def test_threads_stay_within_the_share_of_the_container_and_leave_busy_cores_alone() -> None:
    alone = replace(MACHINE, cores=8, container=Container(), busy_cores=0.2)
    shared = replace(alone, container=Container(cpus=2.5), busy_cores=4.0)
    busy = replace(alone, busy_cores=5.8)
    crowded = replace(alone, busy_cores=8.0)

    assert [m.usable_cores for m in (alone, shared)] == [8, 2]
    assert [m.idle_cores for m in (alone, shared, busy, crowded)] == [8, 2, 2, 1]


def test_only_the_cores_of_this_process_are_counted_as_busy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ours = sorted(os.sched_getaffinity(0))
    shares = [75.0 if core in ours else 100.0 for core in range(max(ours) + 2)]
    monkeypatch.setattr(psutil, "cpu_percent", lambda seconds, percpu: shares if percpu else [])

    assert watch_cores() == pytest.approx(0.75 * len(ours))


def test_a_program_that_computes_is_seen() -> None:
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as busy:
        time.sleep(0.5)
        found = watch_cores(0.5)
        busy.kill()

    assert found is None or found > 0.5


class Driver:
    """NVIDIA's management library with two GPUs, and a third that does not tell its memory."""

    NVMLError = pynvml.NVMLError
    gpus = (
        ("NVIDIA GeForce RTX 3060", 12288, 11000, (8, 6)),
        ("NVIDIA GeForce GTX 1660", 6144, 6000, (7, 5)),
        ("A thing", None, None, (9, 9)),
    )

    def __init__(self) -> None:
        self.open = 0

    def nvmlInit(self) -> None:  # noqa: N802 - NVIDIA's name, as those below
        self.open += 1

    def nvmlShutdown(self) -> None:  # noqa: N802
        self.open -= 1

    def nvmlDeviceGetCount(self) -> int:  # noqa: N802
        return len(self.gpus)

    def nvmlDeviceGetHandleByIndex(self, number: int) -> int:  # noqa: N802
        return number

    def nvmlDeviceGetName(self, number: int) -> str:  # noqa: N802
        return self.gpus[number][0]

    def nvmlDeviceGetMemoryInfo(self, number: int) -> SimpleNamespace:  # noqa: N802
        _, total, free, _ = self.gpus[number]
        if total is None or free is None:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)
        return SimpleNamespace(total=total * 2**20, free=free * 2**20)

    def nvmlDeviceGetCudaComputeCapability(self, number: int) -> tuple[int, int]:  # noqa: N802
        return self.gpus[number][3]

    def nvmlSystemGetDriverVersion(self) -> str:  # noqa: N802
        return "550.1"


def test_gpus_are_what_the_driver_says(monkeypatch: pytest.MonkeyPatch) -> None:
    driver = Driver()
    monkeypatch.setattr(probe_module, "pynvml", driver)

    first, second = list_gpus()

    assert first == Gpu("NVIDIA GeForce RTX 3060", 12 * GIB, 11000 * 2**20, "8.6", "550.1")
    assert (first.bf16, first.fp16, second.bf16, second.fp16) == (True, True, False, True)
    assert driver.open == 0


def test_a_machine_without_the_driver_has_no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> None:
        raise pynvml.NVMLError(pynvml.NVML_ERROR_LIBRARY_NOT_FOUND)

    monkeypatch.setattr(pynvml, "nvmlInit", refuse)

    assert list_gpus() == ()


def test_nothing_tells_whose_machine_it_is() -> None:
    said = json.dumps(MACHINE.to_dict())

    names = {socket.gethostname(), getpass.getuser(), str(Path.home()), str(Path.cwd())}
    for name in names - {"root"}:  # the user's name may be a word of the driver's
        assert not re.search(rf"\b{re.escape(name)}\b", said)


def test_this_machine_has_memory_cores_and_a_disk() -> None:
    assert MACHINE.memory_total >= MACHINE.memory_available > 0
    assert MACHINE.cores >= 1
    assert MACHINE.disk_free > 0
    assert MACHINE.processor


@pytest.fixture
def memory_group() -> Iterator[Path]:
    """A real memory control group of 1 GiB, where one may be made."""
    limits = {"memory": "memory.limit_in_bytes", "": "memory.max"}
    for controller, limit in limits.items():
        group = Path("/sys/fs/cgroup") / controller / f"skelab-test-{os.getpid()}"
        if not (group.parent / "cgroup.procs").is_file():
            continue
        try:
            group.mkdir()
        except OSError:
            continue
        try:
            (group / limit).write_text(str(GIB))
            yield group
        except OSError as error:
            pytest.skip(f"no limit can be set on a control group here: {error}")
        finally:
            group.rmdir()
        return
    pytest.skip("needs to be root, with control groups that may be written")


def test_the_limit_of_a_real_control_group_is_seen(memory_group: Path) -> None:
    asked = (
        "from skelab.host.probe import probe; here = probe();"
        " print(here.container.memory_limit, here.usable_memory)"
    )
    enter = f"echo $$ > {memory_group}/cgroup.procs && exec {sys.executable} -c '{asked}'"

    done = subprocess.run(["sh", "-c", enter], capture_output=True, text=True, check=True)

    limit, usable = map(int, done.stdout.split())
    assert limit == GIB
    assert 0 < usable < GIB
