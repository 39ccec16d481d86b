"""What a result was made with, and nothing that tells on its maker."""

import json
import platform
from importlib import metadata
from pathlib import Path

import pytest
import torch

from skelab._version import __version__
from skelab.host import environment
from skelab.host.environment import describe_environment


def test_versions_are_those_that_are_installed() -> None:
    found = describe_environment()

    assert found["skelab"] == __version__
    assert found["python"] == platform.python_version()
    assert found["threads"] == torch.get_num_threads()
    for name, version in found["packages"].items():
        assert version == metadata.version(name)


def test_neither_the_machine_nor_its_folders_are_named() -> None:
    found = json.dumps(describe_environment())

    assert platform.node() not in found
    assert str(Path(environment.__file__).parents[3]) not in found


def test_a_package_that_no_repository_tracks_has_no_commit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(environment, "__file__", str(tmp_path / "environment.py"))

    assert describe_environment()["commit"] is None


def test_without_git_there_is_no_commit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")

    assert describe_environment()["commit"] is None
