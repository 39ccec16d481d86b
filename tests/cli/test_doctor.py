"""`skelab doctor` says what is here and what is missing, and nothing that names anybody."""

import getpass
import json
import platform
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

import pytest
from cli_outcome import Outcome

from skelab.cli import doctor

Command = Callable[..., Outcome]

REQUIRES = ["numpy>=1.26", "av>=13.0; extra == 'video'", 'optuna[all]>=4.0; extra == "search"']


def test_everything_that_an_issue_needs_is_said(skelab: Command) -> None:
    done = skelab("doctor", "--json")

    found = json.loads(done.out)
    assert done.status == 0
    assert found["versions"]["python"] == platform.python_version()
    assert found["versions"]["torch"] == metadata.version("torch")
    assert found["machine"]["cores"] >= 1
    assert set(found["kernels"]) == {"kernels for reading", "kernels for networks"}
    assert {extra["name"] for extra in found["extras"]} == declared_extras() - {"dev"}


def declared_extras() -> set[str]:
    """The optional parts that the project declares."""
    import tomllib

    file = Path(__file__).parents[2] / "pyproject.toml"
    return set(tomllib.loads(file.read_text())["project"]["optional-dependencies"])


def test_nothing_names_a_person_a_machine_or_a_folder(skelab: Command) -> None:
    shown = skelab("doctor").out + skelab("doctor", "--json").out

    assert platform.node() not in shown
    assert str(Path.home()) not in shown.split()
    assert f"/{getpass.getuser()}" not in shown


def test_a_missing_extra_is_named_with_its_gain_and_the_command(
    skelab: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    versions = {"optuna": "5.0"}
    monkeypatch.setattr(doctor, "_requirements", lambda: REQUIRES)
    monkeypatch.setattr(doctor, "_version", versions.get)

    done = skelab("doctor")

    extras = {extra.name: extra for extra in doctor.list_extras()}
    assert extras["video"].missing == ("av",)
    assert extras["search"].installed == {"optuna": "5.0"}
    assert extras["slurm"].state == "unknown"
    assert "missing av" in done.out
    assert "next: pip install 'skeleton-action-lab[video]'" in done.out


def test_kernels_that_were_not_compiled_are_said_to_be_missing(
    skelab: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("skelab.native.ctrgcn._compiled", None)

    done = skelab("doctor", "--json")

    assert "with a C++17 compiler" in json.loads(done.out)["kernels"]["kernels for reading"]
