"""`skelab study`: real runs on synthetic clips, stopped, killed, resumed and compared."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from cli_outcome import Outcome, SmallSet
from study_kit import SMALL, write_plan

from skelab.inference import read_checkpoint
from skelab.runs.progress import unfinished

PATIENCE = 300  # seconds; a busy machine is slow, and no test judges that

Command = Callable[..., Outcome]


def study_process(*words: object, limit: str = "") -> "subprocess.Popen[str]":
    """`skelab study` as a process of its own, in a session of its own."""
    command = [sys.executable, "-P", "-m", "skelab", "study", *map(str, words)]
    if limit:
        command = ["bash", "-c", f'{limit}; exec "$@"', "bash", *command]
    # In the background of a shell Ctrl-C is ignored, and a process hands that down.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    return subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def wait_for(path: Path, process: "subprocess.Popen[str]") -> None:
    """Wait until a file is there; what the process said if it has ended before."""
    until = time.monotonic() + PATIENCE
    while not path.exists():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < until
        time.sleep(0.02)


def processes_of(folder: Path) -> list[int]:
    """The processes whose words name a folder."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            words = (entry / "cmdline").read_bytes().decode(errors="replace").split("\0")
        except OSError:
            continue
        if any(str(folder) in word for word in words) and int(entry.name) != os.getpid():
            found.append(int(entry.name))
    return found


def wait_until_gone(folder: Path) -> None:
    """Wait until no process works in a folder."""
    until = time.monotonic() + PATIENCE
    while processes_of(folder):
        assert time.monotonic() < until, processes_of(folder)
        time.sleep(0.05)


@pytest.fixture(scope="module")
def plan(small_set: SmallSet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A plan of two runs, one of which cannot be trained, beside its store."""
    folder = tmp_path_factory.mktemp("study")
    shutil.copy(small_set.store, folder / "clips.arrow")
    return write_plan(
        folder / "plan.yaml",
        streams=["joint"],
        settings={"small": [*SMALL], "wrong": [*SMALL, "model.nosuch=1"]},
        baseline={"setting": "small"},
    )


@pytest.fixture(scope="module")
def carried_out(plan: Path) -> tuple[Path, "subprocess.CompletedProcess[str]"]:
    """The study of that plan, carried out by a process of its own."""
    out = plan.parent / "out"
    process = study_process(plan, "--out", out, "--jobs", 2)
    said = process.communicate(timeout=PATIENCE)
    return out, subprocess.CompletedProcess([], process.returncode, *said)


GOOD, WRONG = (f"made_ctrgcn_joint_xsub_{name}_seed1" for name in ("small", "wrong"))


def test_a_study_goes_on_where_a_run_fails_and_says_which(
    carried_out: tuple[Path, "subprocess.CompletedProcess[str]"],
) -> None:
    out, done = carried_out

    assert done.returncode == 1, done.stderr
    assert f"1 of 2 runs failed: {WRONG}" in done.stderr
    assert f"{GOOD}: done" in done.stderr
    assert "unknown option of ctrgcn 'nosuch'" in done.stderr
    assert (out / "runs" / GOOD / "scores-test.npz").is_file()
    found = json.loads((out / "table.json").read_text())
    assert [row["done"] for row in found["rows"]] == [1, 0]
    assert found["rows"][1]["remark"].startswith(f"failed: 1 of 1, {WRONG}: ")
    assert (out / "study.html").read_text().startswith("<!doctype html>")
    assert not (out / ".lock").exists()


def test_the_table_is_printed_from_the_runs_and_nothing_is_run(
    carried_out: tuple[Path, "subprocess.CompletedProcess[str]"], plan: Path, skelab: Command
) -> None:
    out, _ = carried_out
    before = sorted(out.rglob("*"))

    made = skelab("study", plan, "--out", out, "--table")
    as_json = skelab("study", plan, "--out", out, "--table", "--json")

    assert made.status == 0
    assert made.out == (out / "table.md").read_text()
    assert as_json.json == json.loads((out / "table.json").read_text())
    assert sorted(out.rglob("*")) == before


def test_a_second_time_finished_runs_are_left_alone(
    carried_out: tuple[Path, "subprocess.CompletedProcess[str]"], plan: Path, skelab: Command
) -> None:
    out, _ = carried_out
    scores = out / "runs" / GOOD / "scores-test.npz"
    before = scores.stat().st_mtime_ns
    log = (out / "logs" / f"{GOOD}.log").read_text()

    again = skelab("study", plan, "--out", out, "--jobs", 1)

    assert again.status == 1
    assert "1 of 2 runs are done already" in again.err
    assert scores.stat().st_mtime_ns == before
    assert (out / "logs" / f"{GOOD}.log").read_text() == log


def test_what_was_changed_under_a_study_is_refused(
    carried_out: tuple[Path, "subprocess.CompletedProcess[str]"],
    plan: Path,
    small_set: SmallSet,
    skelab: Command,
    tmp_path: Path,
) -> None:
    out, _ = carried_out
    renamed = write_plan(tmp_path / "renamed.yaml", name="other", streams=["joint"])
    changed = write_plan(
        tmp_path / "changed.yaml",
        streams=["joint"],
        settings={"small": [*SMALL, "training.learning_rate=0.2"]},
    )
    data = tmp_path / "data"
    data.mkdir()
    assert (
        skelab("ingest", small_set.skeletons, data / "clips.arrow", "--pipeline", "msg3d").status
        == 0
    )

    other = skelab("study", renamed, "--out", out)
    settings = skelab("study", changed, "--out", out, "--data", plan.parent)
    clips = skelab("study", plan, "--out", out, "--data", data)
    nothing = skelab("study", plan, "--out", tmp_path / "new", "--data", tmp_path)

    assert "holds the study 'streams', not 'other'; give each study an --out" in other.err
    assert f"{GOOD}: was begun with other settings than run {GOOD} has now" in settings.err
    assert "the clips of data 'made' have changed between runs: expected digest" in clips.err
    assert "there is nothing under the path of data 'made'; --data names the" in nothing.err
    assert [each.status for each in (other, settings, clips, nothing)] == [2, 2, 2, 2]


def test_a_study_that_is_being_carried_out_is_refused(
    carried_out: tuple[Path, "subprocess.CompletedProcess[str]"], plan: Path, tmp_path: Path
) -> None:
    from skelab.studies.folder import StudyFolder

    out, _ = carried_out

    with StudyFolder(out).hold():
        process = study_process(plan, "--out", out)
        _, said = process.communicate(timeout=PATIENCE)

    assert process.returncode == 2
    assert f"{out}: the study: process {os.getpid()} on " in said


def test_very_many_runs_are_not_begun_unasked(plan: Path, skelab: Command, tmp_path: Path) -> None:
    many = write_plan(tmp_path / "many.yaml", seeds=list(range(5000)))
    more = write_plan(tmp_path / "more.yaml", seeds=list(range(26_000)), splits=["xsub", "xview"])

    refused = skelab("study", many, "--out", tmp_path / "out")
    too_many = skelab("study", more, "--out", tmp_path / "out", "--yes")

    assert refused.status == 2
    assert "stands for 10,000 runs, more than 100; --yes carries them out" in refused.err
    assert "stands for 104,000 runs; expected fewer" in too_many.err
    assert not (tmp_path / "out").exists()


def test_a_table_of_no_study_is_refused(plan: Path, skelab: Command, tmp_path: Path) -> None:
    made = skelab("study", plan, "--out", tmp_path / "nosuch", "--table")

    assert made.status == 2
    assert "nosuch: there is no study yet; without --table it begins" in made.err


LONG = [*SMALL, "training.epochs=12", "training.checkpoint_minutes=0"]


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_a_study_that_was_stopped_ends_with_the_same_bits(
    how: signal.Signals, plan: Path, tmp_path: Path
) -> None:
    long = write_plan(tmp_path / "plan.yaml", streams=["joint"], settings={"long": LONG})
    words = (long, "--data", plan.parent, "--jobs", 1, "--out")
    name = "made_ctrgcn_joint_xsub_long_seed1"
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    study_process(*words, whole).communicate(timeout=PATIENCE)

    process = study_process(*words, stopped)
    wait_for(stopped / "runs" / name / "checkpoints" / "epoch-0002.safetensors", process)
    os.kill(process.pid, how)
    _, said = process.communicate(timeout=PATIENCE)
    wait_until_gone(stopped)
    left = unfinished(stopped / "runs" / name)
    again = study_process(*words, stopped)
    again.communicate(timeout=PATIENCE)

    assert process.returncode == (-9 if how == signal.SIGKILL else 130)
    if how == signal.SIGINT:
        command = f"skelab study {long} --out {stopped} --data {plan.parent} --jobs 1"
        assert f"it goes on with: {command}" in said
    assert "this run has not ended" in left
    assert again.returncode == 0
    first, second = (read_checkpoint(out / "runs" / name) for out in (whole, stopped))
    assert first.digest == second.digest


@pytest.mark.slow
def test_a_full_disk_is_a_failure_of_each_run_that_meets_it(plan: Path, tmp_path: Path) -> None:
    two = write_plan(tmp_path / "plan.yaml", seeds=[1, 2], streams=["joint"])
    words = (two, "--data", plan.parent, "--jobs", 2, "--out", tmp_path / "out")

    process = study_process(*words, limit="ulimit -f 60")  # no file above 60 KiB
    _, said = process.communicate(timeout=PATIENCE)

    assert process.returncode == 1
    assert "2 of 2 runs failed" in said
    assert said.count("cannot be written: File too large") >= 2


@pytest.mark.slow
def test_recordings_are_ingested_into_the_study(
    small_set: SmallSet, skelab: Command, tmp_path: Path
) -> None:
    recordings = write_plan(
        tmp_path / "plan.yaml",
        data={"made": {"path": small_set.skeletons.name, "pipeline": "ctrgcn"}},
        streams=["joint"],
    )
    ground = small_set.skeletons.parent

    made = skelab("study", recordings, "--out", tmp_path / "out", "--data", ground)

    assert made.status == 0
    assert "recordings; they are ingested into" in made.err
    assert (tmp_path / "out" / "stores" / "made.arrow").is_file()
