"""The engine of this machine: shares, isolation of failures, stopping."""

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from skelab.studies.engines import base, here
from skelab.studies.engines.here import Here, Shares, share_machine
from skelab.studies.job import DONE, FAILED, STOPPED, Job, Outcome, note_outcome, noted_failure


@pytest.mark.parametrize(
    ("jobs", "cores", "gpus", "expected"),
    [
        (None, 8, (), Shares(8, 1)),
        (2, 8, (), Shares(2, 4)),
        (16, 8, (), Shares(16, 1)),
        (None, 16, ("0", "1"), Shares(2, 8, ("0", "1"))),
        (4, 16, ("0", "1"), Shares(4, 4, ("0", "1"))),
    ],
)
def test_a_machine_is_shared_by_gpus_or_else_by_cores(
    jobs: int | None,
    cores: int,
    gpus: tuple[str, ...],
    expected: Shares,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS")

    shares = share_machine(jobs, cores=cores, gpus=gpus)

    assert shares == expected


def test_the_threads_that_somebody_has_asked_for_are_a_limit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "2")

    assert share_machine(1, cores=8, gpus=()).threads == 2
    assert share_machine(8, cores=8, gpus=()).threads == 1


def test_the_gpus_that_are_visible_are_taken_in_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3, 5")

    shares = share_machine(3, cores=6)

    taken = [shares.environment(place)["CUDA_VISIBLE_DEVICES"] for place in range(3)]
    assert taken == ["3", "5", "3"]
    assert shares.environment(0)["OMP_NUM_THREADS"] == str(shares.threads)
    assert shares.title.endswith("GPUs 3, 5 in turn")


@pytest.mark.parametrize("hidden", ["", "-1"])
def test_hidden_gpus_are_none(hidden: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", hidden)

    assert here.visible_gpus() == ()


class Script:
    """Commands of jobs, one list each, in the place of what run folders say."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.left: dict[str, list[tuple[str, ...]]] = {}
        self.ended: list[Outcome] = []
        monkeypatch.setattr(here, "next_command", self.next_command)

    def job(self, name: str, *commands: tuple[str, ...]) -> Job:
        """A job that takes these commands."""
        self.left[name] = list(commands)
        log = self.folder / f"{name}.log"
        return Job(name, "ctrgcn", (), Path("store"), "digest", self.folder / name, log)

    def next_command(self, job: Job) -> tuple[str, ...] | None:
        """The next of its commands."""
        return self.left[job.name].pop(0) if self.left[job.name] else None

    def carry_out(self, *jobs: Job, at_once: int = 2) -> dict[str, Outcome]:
        """What became of the jobs."""
        ended: dict[str, Outcome] = {}
        Here(Shares(at_once, 1)).carry_out(
            jobs,
            on_end=lambda job, outcome: ended.update({job.name: outcome}),
            should_stop=lambda _: False,
        )
        return ended


@pytest.fixture
def script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Script:
    """Jobs of given commands."""
    return Script(tmp_path, monkeypatch)


def test_a_job_takes_its_commands_one_after_the_other(script: Script) -> None:
    job = script.job("a", ("layouts",), ("recipes", "--json"))

    ended = script.carry_out(job)

    assert ended == {"a": Outcome("a", DONE)}
    said = job.log.read_text()
    assert said.index("== skelab layouts") < said.index("== skelab recipes --json")
    assert "ntu25" in said


def test_a_job_that_fails_leaves_the_others_alone(script: Script) -> None:
    jobs = [
        script.job("bad", ("train", "nosuch")),
        script.job("good", ("layouts",)),
        script.job("stuck", ("layouts",), ("layouts",)),
    ]

    ended = script.carry_out(*jobs)

    assert ended["good"] == Outcome("good", DONE)
    assert ended["bad"].state == FAILED
    assert ended["bad"].reason.startswith("unknown recipe 'nosuch'")
    assert ended["stuck"].reason == "`skelab layouts` ended and left no result"


def test_a_job_that_is_killed_is_a_failure_that_names_the_signal(
    script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = base.start_command

    def start_and_kill(*given: object) -> "subprocess.Popen[bytes]":
        process = started(*given)  # type: ignore[arg-type]
        os.kill(process.pid, signal.SIGKILL)
        return process

    monkeypatch.setattr(here, "start_command", start_and_kill)

    ended = script.carry_out(script.job("a", ("layouts",)))

    assert ended["a"].state == FAILED
    assert ended["a"].reason.startswith("ended by signal 9 (it was killed, perhaps for lack of")


def test_a_log_that_cannot_be_written_is_a_failure(script: Script) -> None:
    job = script.job("a", ("layouts",))
    job.log.mkdir()

    ended = script.carry_out(job, script.job("b", ("layouts",)))

    assert ended["a"].state == FAILED
    assert "Is a directory" in ended["a"].reason
    assert ended["b"].state == DONE


def waiting_job(script: Script, name: str) -> Job:
    """A job whose command takes minutes."""
    return script.job(name, ("synth", str(script.folder / name), "--clips", "100000"))


def test_a_job_can_be_stopped_while_it_runs(
    script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(here, "_ASKED", 0.0)
    ended: list[Outcome] = []

    Here(Shares(1, 1)).carry_out(
        [waiting_job(script, "long"), script.job("next", ("layouts",))],
        on_end=lambda _, outcome: ended.append(outcome),
        should_stop=lambda job: job.name == "long",
    )

    assert ended == [Outcome("long", STOPPED), Outcome("next", DONE)]


def test_an_interrupt_stops_what_runs(script: Script, monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[subprocess.Popen[bytes]] = []
    started = base.start_command

    def start(*given: object) -> "subprocess.Popen[bytes]":
        begun.append(started(*given))  # type: ignore[arg-type]
        return begun[-1]

    def interrupt(_: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(here, "start_command", start)
    clock = SimpleNamespace(sleep=interrupt, monotonic=time.monotonic)
    monkeypatch.setattr(here, "time", clock)

    with pytest.raises(KeyboardInterrupt):
        script.carry_out(waiting_job(script, "a"), waiting_job(script, "b"))

    assert len(begun) == 2
    assert all(process.returncode is not None for process in begun)


def test_jobs_are_asked_for_when_there_is_room(script: Script) -> None:
    asked: list[str] = []
    ended: list[str] = []

    def jobs() -> Iterator[Job]:
        for name in ("a", "b"):
            asked.append(f"{name} after {len(ended)}")
            yield script.job(name, ("layouts",))

    Here(Shares(1, 1)).carry_out(
        jobs(), on_end=lambda job, _: ended.append(job.name), should_stop=lambda _: False
    )

    assert asked == ["a after 0", "b after 1"]


def test_the_reason_of_a_failure_is_kept_until_the_job_is_done(script: Script) -> None:
    job = script.job("a")

    note_outcome(job, Outcome("a", FAILED, "no reason"))
    kept = noted_failure(job.log)
    note_outcome(job, Outcome("a", DONE))

    assert kept == "no reason"
    assert noted_failure(job.log) == ""
