"""A process that is asked in JSON."""

import os
from pathlib import Path

import pytest

from skelab.host.worker_process import ProcessEndedError, ProcessError, WorkerProcess

ECHO = """
import json, os, sys, time
for line in sys.stdin:
    asked = json.loads(line)
    if "die" in asked:
        print("last words", file=sys.stderr, flush=True)
        os.kill(os.getpid(), asked["die"])
    time.sleep(asked.get("sleep", 0))
    print(json.dumps({**asked, "pid": os.getpid(), "word": os.environ.get("WORD")}), flush=True)
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a module that answers with what it was asked."""
    (tmp_path / "echo_for_tests.py").write_text(ECHO)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return "echo_for_tests"


def test_questions_are_answered_by_another_process(module: str) -> None:
    with WorkerProcess(module, {"WORD": "so"}) as process:
        first = process.ask({"x": 1})
        second = process.ask({"long": "y" * 200_000})

    assert (first["x"], first["word"]) == (1, "so")
    assert first["pid"] == second["pid"] != os.getpid()
    assert len(second["long"]) == 200_000


def test_an_error_is_raised_with_what_it_says(module: str) -> None:
    with WorkerProcess(module) as process, pytest.raises(ProcessError, match="no such thing"):
        process.ask({"error": "no such thing"})


def test_an_end_is_told_with_its_reason(module: str) -> None:
    with WorkerProcess(module) as process, pytest.raises(ProcessEndedError, match="was killed"):
        process.ask({"die": 9})
    with WorkerProcess(module) as process, pytest.raises(ProcessEndedError, match="last words"):
        process.ask({"die": 15})


def test_an_answer_that_takes_too_long_is_not_waited_for(module: str) -> None:
    with WorkerProcess(module) as process, pytest.raises(ProcessError, match="no answer after 0 s"):
        process.ask({"sleep": 60}, seconds=0.3)


def test_nothing_runs_after_the_block(module: str) -> None:
    with WorkerProcess(module) as process:
        pid = process.ask({})["pid"]

    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
