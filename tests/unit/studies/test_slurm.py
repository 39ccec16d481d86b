"""The engine of a cluster: on a real SLURM of one node, and by submitit's own processes."""

import os
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import slurm_cluster
from study_kit import SMALL
from tiny_run import PYTHON_PATH

from skelab.cli.main import run
from skelab.data.clips.store import open_store
from skelab.errors import StudyError
from skelab.inference import read_checkpoint
from skelab.studies.engines import slurm
from skelab.studies.engines.here import Here, Shares
from skelab.studies.engines.slurm import Cluster
from skelab.studies.job import DONE, FAILED, Job, Outcome, is_trained
from skelab.studies.plan import Slurm

pytest.importorskip("submitit", reason="submitit is not installed: pip install '.[slurm]'")

PATIENCE = 400  # seconds; a busy machine is slow, and no test judges that


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """48 synthetic clips of three actions."""
    folder = tmp_path_factory.mktemp("slurm")
    assert run(["synth", str(folder / "rec"), "--clips", "48", "--actions", "3"]) == 0
    made = folder / "clips.arrow"
    assert run(["ingest", str(folder / "rec"), str(made), "--workers", "1"]) == 0
    return made


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A real SLURM; the test is skipped by name where it cannot be had."""
    if lacks := slurm_cluster.missing():
        pytest.skip(lacks)
    with slurm_cluster.slurm_cluster() as environment:
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("PYTHONPATH", PYTHON_PATH)
        yield


def make_job(name: str, store: Path, folder: Path, *overrides: str) -> Job:
    """A run of the small recipe."""
    digest = open_store(store).info.digest
    log = folder / "logs" / f"{name}.log"
    settings = (*SMALL, *overrides)
    return Job(name, "ctrgcn", settings, store, digest, folder / "runs" / name, log)


def carry_out(
    engine: Cluster | Here, *jobs: Job, should_stop: Callable[[Job], bool] = lambda _: False
) -> dict[str, Outcome]:
    """How each job ended."""
    ended: dict[str, Outcome] = {}
    engine.carry_out(
        jobs,
        on_end=lambda job, outcome: ended.update({job.name: outcome}),
        should_stop=should_stop,
    )
    return ended


def ask_slurm(*words: str) -> str:
    """What a command of SLURM answers."""
    done = subprocess.run(words, capture_output=True, text=True, check=True, timeout=60)
    return done.stdout


@pytest.mark.slow
def test_jobs_by_submitits_own_processes_end_and_fail_by_themselves(
    store: Path, tmp_path: Path
) -> None:
    good = make_job("good", store, tmp_path)
    bad = make_job("bad", store, tmp_path, "model.nosuch=1")

    ended = carry_out(Cluster(tmp_path / "slurm", Slurm(), at_once=1, cluster="local"), good, bad)

    assert ended["good"] == Outcome("good", DONE)
    assert ended["bad"].state == FAILED
    assert "unknown option of ctrgcn 'nosuch'" in ended["bad"].reason


@pytest.mark.slow
@pytest.mark.usefixtures("cluster")
def test_an_array_of_slurm_carries_out_all_jobs(store: Path, tmp_path: Path) -> None:
    jobs = [make_job("a", store, tmp_path), make_job("b", store, tmp_path, "model.nosuch=1")]

    ended = carry_out(Cluster(tmp_path / "slurm", Slurm(), at_once=1), *jobs)

    assert ended["a"] == Outcome("a", DONE)
    assert "unknown option of ctrgcn 'nosuch'" in ended["b"].reason
    ids = [(tmp_path / "slurm" / f"{name}.id").read_text() for name in "ab"]
    assert [each.rpartition("_")[2] for each in ids] == ["0", "1"]
    assert ids[0].rpartition("_")[0] == ids[1].rpartition("_")[0]


@pytest.mark.slow
@pytest.mark.usefixtures("cluster")
def test_a_job_that_is_preempted_is_queued_again_and_ends_with_the_same_bits(
    store: Path, tmp_path: Path
) -> None:
    long = ("training.epochs=80", "training.checkpoint_minutes=0")
    whole = make_job("whole", store, tmp_path, *long)
    preempted = make_job("preempted", store, tmp_path, *long)
    carry_out(Here(Shares(1, 1)), whole)
    sent: list[str] = []

    def preempt(job: Job) -> bool:
        """Once the run is on its way, a job of higher priority takes the only processor."""
        if not sent and list(job.folder.glob("checkpoints/epoch-*.safetensors")):
            words = ("sbatch", "--parsable", "--partition=high", "--output=/dev/null")
            sent.append(ask_slurm(*words, "--wrap=sleep 1").strip())
        return False

    ended = carry_out(
        Cluster(tmp_path / "slurm", Slurm(partition="low"), at_once=None),
        preempted,
        should_stop=preempt,
    )

    number = (tmp_path / "slurm" / "preempted.id").read_text()
    assert ended["preempted"] == Outcome("preempted", DONE), preempted.log.read_text()
    assert "Restarts=1" in ask_slurm("scontrol", "show", "job", number)
    assert preempted.log.read_text().count("== skelab train") == 2
    assert "--resume" in preempted.log.read_text()
    first, second = (read_checkpoint(job.folder) for job in (whole, preempted))
    assert first.digest == second.digest


@pytest.mark.slow
@pytest.mark.usefixtures("cluster")
def test_a_study_that_was_killed_finds_its_jobs_again(store: Path, tmp_path: Path) -> None:
    job = make_job("a", store, tmp_path)
    engine = Cluster(tmp_path / "slurm", Slurm(), at_once=None)
    ((_, first),) = engine._submit([job]).values()  # and the study is killed here

    ended = carry_out(Cluster(tmp_path / "slurm", Slurm(), at_once=None), job)

    assert ended["a"] == Outcome("a", DONE)
    assert (tmp_path / "slurm" / "a.id").read_text() == first.job_id
    assert job.log.read_text().count("== skelab train") == 1


@pytest.mark.slow
@pytest.mark.usefixtures("cluster")
def test_an_interrupt_cancels_what_was_submitted(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = make_job("a", store, tmp_path)

    def interrupt(_: Job) -> bool:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        carry_out(Cluster(tmp_path / "slurm", Slurm(), at_once=None), job, should_stop=interrupt)

    until = time.monotonic() + PATIENCE
    while ask_slurm("squeue", "--noheader"):
        assert time.monotonic() < until
        time.sleep(0.2)
    assert not is_trained(job.folder)


def test_without_slurm_the_engine_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(StudyError, match="expected SLURM on this machine, found no program sbatch"):
        Cluster(tmp_path, Slurm(), at_once=None)


def test_without_submitit_the_engine_names_the_command_that_installs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slurm, "find_spec", lambda _: None)

    with pytest.raises(StudyError, match=r"pip install 'skeleton-action-lab\[slurm\]'"):
        Cluster(tmp_path, Slurm(), at_once=None)


def test_a_queue_that_does_not_answer_keeps_its_jobs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    handle = type("Handle", (), {"job_id": "7_0"})()

    assert slurm._queued([handle]) == {"7_0"}
    assert slurm._queued([]) == set()
    assert os.environ["PATH"] == str(tmp_path)
