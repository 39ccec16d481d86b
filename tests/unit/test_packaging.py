"""The files around the code agree with each other and with the code."""

import re
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

from skelab._version import __version__

CONSTRAINTS = ("constraints.txt", "constraints-oldest.txt")


@pytest.fixture(scope="module", params=CONSTRAINTS)
def pinned(request: pytest.FixtureRequest, repository: Path) -> dict[str, str]:
    """Exact versions by normal name."""
    lines = (repository / request.param).read_text().splitlines()
    pairs = [line.split("==") for line in lines if line and not line.startswith("#")]
    return {normal(name): version for name, version in pairs}


def normal(name: str) -> str:
    """A package's name as the index spells it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def test_every_direct_dependency_is_pinned_to_a_version_that_it_allows(
    repository: Path, pinned: dict[str, str]
) -> None:
    project = tomllib.loads((repository / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"], *project["optional-dependencies"]["dev"]]

    requirements = [Requirement(text) for text in wanted]

    for requirement in requirements:
        assert pinned[normal(requirement.name)] in requirement.specifier, requirement


def test_every_dependency_of_a_dependency_is_pinned(pinned: dict[str, str]) -> None:
    installed = {
        (normal(found.metadata["Name"]), found.version.split("+")[0])
        for found in metadata.distributions()
    }
    needed: set[str] = set()

    # Of the versions in the file: torch's CUDA build brings along what the CPU's does not.
    for name, _ in pinned.items() & installed:
        for text in metadata.requires(name) or []:
            requirement = Requirement(text)
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                needed.add(normal(requirement.name))

    assert needed <= pinned.keys()


def test_no_file_of_the_installation_names_a_package_index(repository: Path) -> None:
    names = ("Makefile", *CONSTRAINTS, "pyproject.toml", ".ci/run", ".pre-commit-config.yaml")

    text = "".join((repository / name).read_text() for name in names)

    assert "://" not in text


def test_version_changelog_and_citation_agree(repository: Path) -> None:
    citation = yaml.safe_load((repository / "CITATION.cff").read_text())
    changelog = (repository / "CHANGELOG.md").read_text()

    headings = re.findall(r"^## \[([^\]]+)\]", changelog, flags=re.MULTILINE)

    assert citation["version"] == __version__
    assert __version__ in headings
    assert headings[0] == "Unreleased" or headings[0] == __version__


def test_the_hooks_are_local_so_that_a_commit_needs_no_network(repository: Path) -> None:
    hooks = yaml.safe_load((repository / ".pre-commit-config.yaml").read_text())

    assert {source["repo"] for source in hooks["repos"]} == {"local"}


def test_the_licence_is_apache_2_whole(repository: Path) -> None:
    text = (repository / "LICENSE").read_text()

    assert "Apache License\n                           Version 2.0, January 2004" in text
    assert "END OF TERMS AND CONDITIONS" in text


def test_every_target_of_the_makefile_says_what_it_does(repository: Path) -> None:
    makefile = (repository / "Makefile").read_text()
    phony = re.findall(r"^\.PHONY: (\S+)$", makefile, flags=re.MULTILINE)

    explained = re.findall(r"^([a-z-]+):.* ## \S", makefile, flags=re.MULTILINE)

    assert sorted(explained) == sorted(phony)
    assert {"help", "setup", "demo", "test", "test-all", "check", "bench", "docs"} <= set(phony)
