"""`skelab doctor`: what it finds, and what it keeps to itself."""

import getpass
import json
import platform
import re
import tomllib
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

import pytest
from cli_outcome import Outcome

from skelab import __version__
from skelab.cli import doctor

REPOSITORY = Path(__file__).resolve().parents[2]


def test_it_names_version_machine_kernels_and_extras(skelab: Callable[..., Outcome]) -> None:
    done = skelab("doctor")

    assert (done.status, done.err) == (0, "")
    for word in (__version__, platform.python_version(), "processor", "skeleton_text", "export"):
        assert word in done.out


def test_its_json_holds_the_versions_of_what_is_installed(skelab: Callable[..., Outcome]) -> None:
    done = skelab("doctor", "--json")

    found = json.loads(done.out)
    versions = {each["package"]: each["version"] for each in found["packages"]}
    assert versions["torch"] == metadata.version("torch")
    assert versions["numpy"] == metadata.version("numpy")
    assert found["memory"] > 0
    assert found["cores"] >= 1


@pytest.mark.parametrize("words", [("doctor",), ("doctor", "--json")])
def test_it_shows_no_user_host_or_path(
    skelab: Callable[..., Outcome], monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-of-somebody")
    monkeypatch.setenv("SKELAB_ISA", "/home/somebody")

    done = skelab(*words)

    private = (str(Path.home()), platform.node(), "somebody", str(REPOSITORY))
    assert done.status == 0
    assert not [each for each in private if len(each) > 1 and each in done.out]
    user = getpass.getuser()
    assert user in ("root", "user") or user not in done.out


def test_an_extra_that_is_missing_says_what_it_would_gain_and_how_to_have_it(
    skelab: Callable[..., Outcome], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = metadata.version

    def without_optuna(package: str) -> str:
        if package == "optuna":
            raise metadata.PackageNotFoundError(package)
        return real(package)

    monkeypatch.setattr(metadata, "version", without_optuna)

    extras = {extra.name: extra for extra in doctor.examine().extras}
    done = skelab("doctor")

    assert extras["search"].missing == ("optuna",)
    assert extras["search"].install == "pip install 'skeleton-action-lab[search]'"
    said = " ".join(done.out.split())
    assert "missing optuna: pip install 'skeleton-action-lab[search]'; would gain" in said


def test_kernels_that_were_not_built_are_said_to_be_so(
    skelab: Callable[..., Outcome], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "find_spec", lambda name: None)
    monkeypatch.setattr("skelab.native.networks._supported", dict)

    done = skelab("doctor")

    assert done.status == 0
    assert done.out.count("not built") == len(doctor.READERS) + 1


def test_a_package_without_installation_is_no_fault(
    skelab: Callable[..., Outcome], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "DISTRIBUTION", "no-such-distribution")

    done = skelab("doctor")

    assert done.status == 0
    assert "no-such-distribution is not installed" in " ".join(done.out.split())


def test_every_extra_of_the_project_is_explained_and_told_by_packages_of_it() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    declared = {
        name: {re.split(r"[<>=]", line)[0] for line in lines}
        for name, lines in project["optional-dependencies"].items()
    }

    assert set(doctor.EXTRAS) == set(declared)
    for name, (_, packages) in doctor.EXTRAS.items():
        assert set(packages) <= declared[name]
        assert name == "dev" or set(packages) == declared[name]


def test_the_templates_for_issues_and_changes_ask_for_its_output() -> None:
    folder = REPOSITORY / ".github"

    asked = [*(folder / "ISSUE_TEMPLATE").glob("*.md"), folder / "pull_request_template.md"]

    assert len(asked) == 3
    assert all("skelab doctor" in path.read_text() for path in asked)
