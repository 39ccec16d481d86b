"""The pages that follow from the code are as the code is now."""

import importlib.util
from types import ModuleType

import pytest
from docs.pages import REPOSITORY, read_page

import skelab


@pytest.fixture(scope="module")
def reference() -> ModuleType:
    """The program that writes the pages."""
    spec = importlib.util.spec_from_file_location("reference", REPOSITORY / "tools/reference.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_section_of_each_command_is_what_its_help_says(reference: ModuleType) -> None:
    text = (REPOSITORY / "docs/reference/commands.md").read_text()

    assert text == reference.commands_page(text), "python tools/reference.py"


def test_the_page_of_the_python_api_is_what_the_docstrings_say(reference: ModuleType) -> None:
    text = (REPOSITORY / "docs/reference/api.md").read_text()

    assert text == reference.api_page(), "python tools/reference.py"
    names = [name for name in skelab.__all__ if not name.startswith("_")]
    assert all(f"## skelab.{name}\n" in text for name in names)


def test_no_table_has_a_backslash_that_a_reader_would_see() -> None:
    for path in sorted((REPOSITORY / "docs").rglob("*.md")):
        rows = [(n, line) for n, line in read_page(path).prose if line.startswith("|")]

        assert [f"{path.name}:{n}" for n, line in rows if "\\|" in line] == []
