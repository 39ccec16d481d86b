"""The frame of the command line: exit statuses, one-line errors, help."""

import os
import subprocess
import sys
from collections.abc import Sequence

import pytest

from skelab.cli import main as command_line

TIMEOUT = 600  # seconds; a busy machine is slow, and no test judges that


def skelab(*words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run the real command in a process of its own, with more variables of the environment."""
    command = [sys.executable, "-c", "from skelab.cli.main import main; main()", *words]
    return subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        timeout=TIMEOUT,
        env={**os.environ, **variables},
    )


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["train"], "skelab: Missing argument 'recipe'; see skelab train --help"),
        (["nosuch"], "skelab: No such command 'nosuch'; see skelab --help"),
        (["synth", "x", "--clips", "many"], "skelab: Invalid value for '--clips'"),
        (
            ["train", "nosuch", "--out", "x"],
            "skelab: unknown recipe 'nosuch'. 48 are known, such as aagcn",
        ),
        (["inspect", "nosuch"], "skelab: nosuch: there is nothing to inspect"),
    ],
)
def test_a_mistake_of_the_user_is_one_line_and_exit_2(words: Sequence[str], message: str) -> None:
    done = skelab(*words)

    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith(message)
    assert done.stderr.count("\n") == 1


def test_a_fault_of_ours_is_one_line_and_exit_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command_line, "app", lambda *_, **__: 1 / 0)

    status = command_line.run(["layouts"])

    assert status == 1
    assert capsys.readouterr().err == (
        "skelab: a fault of skelab, not yours: ZeroDivisionError: division by zero."
        " Run it again with --debug and report the traceback\n"
    )


def test_debug_shows_the_traceback() -> None:
    done = skelab("--debug", "inspect", "nosuch")

    assert "Traceback" in done.stderr
    assert "SourceError" in done.stderr


def test_stopping_is_exit_130(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(command_line, "app", stop)

    assert command_line.run(["layouts"]) == 130
    assert capsys.readouterr().err == "skelab: stopped\n"


@pytest.mark.parametrize("words", [[], ["--help"], ["-h"], ["help"]])
def test_help_lists_the_commands(words: Sequence[str]) -> None:
    done = skelab(*words)

    assert done.returncode == 0
    for command in ("demo", "synth", "ingest", "inspect", "train", "evaluate", "models"):
        assert f"\n  {command} " in done.stdout


@pytest.mark.parametrize("words", [["train", "-h"], ["help", "train"]])
def test_help_of_a_command_is_had_in_every_usual_way(words: Sequence[str]) -> None:
    assert skelab(*words).stdout == skelab("train", "--help").stdout


def test_the_shell_can_be_told_how_to_complete() -> None:
    script = skelab(_SKELAB_COMPLETE="source_bash")
    found = skelab(_SKELAB_COMPLETE="complete_bash", COMP_WORDS="skelab eva", COMP_CWORD="1")

    assert "--install-completion" in skelab("--help").stdout
    assert "complete" in script.stdout
    assert found.stdout.split() == ["evaluate"]
