"""What this machine is, read from files that the tests make up."""

import getpass
import json
import os
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

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
    unknown = replace(alone, busy_cores=None)

    assert [m.usable_cores for m in (alone, shared)] == [8, 2]
    assert [m.idle_cores for m in (alone, shared, busy, crowded, unknown)] == [8, 2, 2, 1, 8]


def test_cores_are_busy_by_what_they_did_while_they_were_watched(tmp_path: Path) -> None:
    times = tmp_path / "stat"
    ours = sorted(os.sched_getaffinity(0))
    foreign = max(ours) + 1

    def write(busy: int, idle: int) -> None:
        lines = [f"cpu{core} {busy} 0 0 {idle} 10 0 0 0 0 0" for core in ours]
        times.write_text(
            "\n".join(["cpu 1 2 3", *lines, f"cpu{foreign} {idle} 0 0 0 0 0 0 0 0 0\n"])
        )

    write(busy=1000, idle=500)
    later = threading.Timer(0.1, write, [1030, 510])
    later.start()
    found = watch_cores(0.5, times)
    later.join()

    assert found == pytest.approx(0.75 * len(ours))
    assert watch_cores(0.0, times) is None
    assert watch_cores(0.0, tmp_path / "none") is None


def test_a_program_that_computes_is_seen() -> None:
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as busy:
        time.sleep(0.5)
        found = watch_cores(0.5)
        busy.kill()

    assert found is None or found > 0.5


def test_gpus_are_what_the_drivers_program_says(tmp_path: Path) -> None:
    program = tmp_path / "nvidia-smi"
    program.write_text(
        "#!/bin/sh\n"
        "echo 'NVIDIA GeForce RTX 3060, 12288, 11000, 8.6, 550.1'\n"
        "echo 'NVIDIA GeForce GTX 1660, 6144, 6000, 7.5, 550.1'\n"
        "echo 'A thing, [N/A], [N/A], 9.9, 550.1'\n"
    )
    program.chmod(0o755)

    first, second = list_gpus([str(program)])

    assert first == Gpu("NVIDIA GeForce RTX 3060", 12 * GIB, 11000 * 2**20, "8.6", "550.1")
    assert (first.bf16, first.fp16, second.bf16, second.fp16) == (True, True, False, True)


@pytest.mark.parametrize("body", ["exit 9", "echo nonsense"])
def test_a_driver_that_does_not_answer_shows_no_gpu(body: str, tmp_path: Path) -> None:
    program = tmp_path / "nvidia-smi"
    program.write_text(f"#!/bin/sh\n{body}\n")
    program.chmod(0o755)

    assert list_gpus([str(program)]) == ()
    assert list_gpus([str(tmp_path / "none")]) == ()


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
