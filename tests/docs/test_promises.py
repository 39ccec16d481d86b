"""What SECURITY.md, CITATION.cff and the README promise holds."""

import re

import yaml
from docs.pages import REPOSITORY, read_page

from skelab import __version__


def test_every_promise_of_security_names_a_test_that_exists() -> None:
    rows = read_page(REPOSITORY / "SECURITY.md").table("what is opened")

    for row in rows:
        path, _, name = row[2].partition("::")
        assert f"def {name}(" in (REPOSITORY / path).read_text(), row[2]
    assert len(rows) >= 15


def test_the_citation_is_of_this_version() -> None:
    citation = yaml.safe_load((REPOSITORY / "CITATION.cff").read_text())

    assert citation["version"] == __version__
    assert citation["license"] == "Apache-2.0"
    assert citation["cff-version"] == "1.2.0"


def test_the_readme_stays_short() -> None:
    lines = (REPOSITORY / "README.md").read_text().splitlines()

    assert len(lines) <= 150
    assert max(i for i, line in enumerate(lines) if re.match(r"!\[", line)) < 15
