"""A SLURM of one node on this machine, for the length of a test; needs root and slurm-wlm."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PROGRAMS = ("slurmctld", "slurmd", "munged", "sbatch", "scontrol", "squeue")
PATIENCE = 60  # seconds until a daemon answers

CONFIGURATION = """\
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
SlurmUser=root
AuthInfo=socket={folder}/munge.socket
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
SwitchType=switch/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
JobRequeue=1
ReturnToService=2
KillWait=3
MinJobAge=300
SchedulerParameters=batch_sched_delay=1,sched_interval=2,bf_interval=2
NodeName={host} NodeAddr=127.0.0.1 CPUs=1 RealMemory=1000 State=UNKNOWN
PartitionName=low Nodes={host} Default=YES PriorityTier=1 PreemptMode=REQUEUE MaxTime=INFINITE
PartitionName=high Nodes={host} PriorityTier=2 PreemptMode=OFF MaxTime=INFINITE
"""


def missing() -> str:
    """What is not there to run a cluster; empty if nothing is missing."""
    absent = [name for name in PROGRAMS if shutil.which(name) is None]
    if absent:
        return f"needs {', '.join(absent)}: apt-get install slurm-wlm munge"
    return "" if os.geteuid() == 0 else "needs root, as whom the daemons run"


@contextmanager
def slurm_cluster() -> Iterator[dict[str, str]]:
    """A cluster of one node with one processor; a job of ``high`` sends one of ``low`` away.

    Yields:
        What the commands of SLURM must find in their environment.
    """
    folder = Path(tempfile.mkdtemp(prefix="slurm-", dir="/tmp"))
    daemons: list[subprocess.Popen[bytes]] = []
    try:
        environment = {**os.environ, "SLURM_CONF": str(_configure(folder))}
        daemons.append(_start_munge(folder))
        for name in ("slurmctld", "slurmd"):
            command = [name, "-D", "-f", environment["SLURM_CONF"]]
            daemons.append(_start(command, folder / f"{name}.out", environment))
        _wait_for_node(environment, folder)
        yield {"SLURM_CONF": environment["SLURM_CONF"]}
    finally:
        for daemon in reversed(daemons):
            daemon.send_signal(signal.SIGTERM)
            try:
                daemon.wait(20)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()
        shutil.rmtree(folder, ignore_errors=True)


def _configure(folder: Path) -> Path:
    folder.chmod(0o755)
    for name in ("state", "spool"):
        (folder / name).mkdir()
    host = socket.gethostname().partition(".")[0]
    path = folder / "slurm.conf"
    path.write_text(CONFIGURATION.format(host=host, ports=_free_ports(2), folder=folder))
    return path


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def _start(command: list[str], log: Path, environment: dict[str, str]) -> "subprocess.Popen[bytes]":
    with log.open("wb") as file:
        return subprocess.Popen(command, stdout=file, stderr=file, env=environment)


def _start_munge(folder: Path) -> "subprocess.Popen[bytes]":
    key = folder / "munge.key"
    key.write_bytes(os.urandom(1024))
    key.chmod(0o400)
    names = {"key-file": key.name, "log-file": "munge.log", "pid-file": "munge.pid"}
    names |= {"seed-file": "munge.seed", "socket": "munge.socket"}
    options = [f"--{option}={folder / name}" for option, name in names.items()]
    daemon = _start(
        ["munged", "--foreground", "--force", *options], folder / "munge.out", dict(os.environ)
    )
    until = time.monotonic() + PATIENCE
    while not (folder / "munge.socket").exists():
        assert daemon.poll() is None, (folder / "munge.out").read_text()
        assert time.monotonic() < until
        time.sleep(0.1)
    return daemon


def _wait_for_node(environment: dict[str, str], folder: Path) -> None:
    until = time.monotonic() + PATIENCE
    while True:
        found = subprocess.run(
            ["sinfo", "-h", "-o", "%T"],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE,
        )
        if "idle" in found.stdout:
            return
        said = [file.read_text(errors="replace")[-1500:] for file in sorted(folder.glob("*.log"))]
        assert time.monotonic() < until, (found.stdout, found.stderr, *said)
        time.sleep(0.5)
