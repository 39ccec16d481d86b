"""What the pages name exists: commands, options, files, headings, classes, keys, packages."""

import inspect
import json
import re
import shlex
import tomllib
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import typer
from docs.pages import REPOSITORY, Page, read_page, read_pages
from pydantic import BaseModel

from skelab import errors
from skelab.cli.main import app
from skelab.data.datasets import list_splits
from skelab.models import list_models, models_page
from skelab.recipes import Recipe
from skelab.skeleton import list_layouts

PAGES = read_pages()
COMMAND = re.compile(r"`skelab ([a-z][a-z-]*)([^`]*)`")


def page(name: str) -> Page:
    """The page with this path in the repository."""
    return read_page(REPOSITORY / name)


def commands() -> Mapping[str, Any]:
    """Every command of ``skelab``, by name, as typer builds it."""
    group: Any = typer.main.get_command(app)
    return dict(group.commands)


def named_commands(page: Page) -> Iterator[tuple[int, str, str]]:
    """Line, command and the rest of each ``skelab …`` that a page shows."""
    for number, line in page.prose:
        for match in COMMAND.finditer(line):
            yield number, match[1], match[2]
    for block in page.blocks:
        if block.language not in ("bash", "console"):
            continue
        for offset, line in enumerate(block.text.replace("\\\n", "  ").splitlines()):
            words = shlex.split(line.removeprefix("$ "), comments=True)
            if words[:1] == ["skelab"] and len(words) > 1 and not words[1].startswith("-"):
                yield block.line + offset, words[1], " ".join(words[2:])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_that_a_page_shows_exists_with_its_options(page: Page) -> None:
    known = commands()

    for number, name, rest in named_commands(page):
        assert name in known, f"{page.name}, line {number}: there is no `skelab {name}`"
        params = known[name].params
        options = {option for param in params for option in (*param.opts, *param.secondary_opts)}
        for option in re.findall(r"(?<![\w-])--[a-z][a-z-]*", rest):
            known_option = option in options or option == "--help"
            assert known_option, f"{page.name}, line {number}: `skelab {name}` has no {option}"


def test_the_readme_and_the_reference_list_every_command() -> None:
    known = set(commands())

    for name in ("README.md", "docs/reference/commands.md"):
        listed = {row[0].split()[1] for row in page(name).table("command")}

        assert listed == known, name


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_to_a_file_and_a_heading(page: Page) -> None:
    inside = [(n, t) for n, t in page.links if not re.match(r"[a-z]+:", t)]

    for number, target in inside:
        where = f"{page.name}, line {number}: {target}"
        path, _, anchor = target.partition("#")
        file = (page.path.parent / path).resolve() if path else page.path
        assert file.is_file(), where
        assert not anchor or anchor in read_page(file).anchors, where


def test_the_navigation_has_every_page_once() -> None:
    navigation = tomllib.loads((REPOSITORY / "zensical.toml").read_text())["project"]["nav"]

    listed = re.findall(r'"([^"]+\.md)"', json.dumps(navigation))

    folder = REPOSITORY / "docs"
    assert sorted(listed) == sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*.md"))


def test_every_section_of_results_with_a_table_shows_the_command_that_made_it() -> None:
    results = page("docs/results.md")
    headings = [n for n, line in results.prose if line.startswith("## ")]
    commands = [block.line for block in results.blocks if block.language == "bash"]
    tables = [n for n, line in results.prose if re.match(r"\|[ :|-]+\|$", line)]

    for table in tables:
        section = max((n for n in headings if n < table), default=0)
        above = [n for n in commands if section < n < table]
        assert above, f"docs/results.md, line {table}: a table without its command above it"


def test_the_reference_of_errors_draws_the_tree_as_it_is() -> None:
    kinds = [kind for _, kind in inspect.getmembers(errors, inspect.isclass)]
    expected = {
        kind.__name__: kind.__base__.__name__ if kind is not errors.SkelabError else ""
        for kind in kinds
        if kind.__module__ == errors.__name__ and kind.__base__ is not None
    }

    listed = {row[0]: row[1] for row in page("docs/reference/errors.md").table("class")}

    assert listed == expected


def test_the_reference_of_layouts_has_every_layout_with_its_joints() -> None:
    expected = [
        [
            layout.name,
            str(layout.num_joints),
            str(len(layout.bones)),
            layout.joints[layout.centre],
            layout.joints[layout.origin],
            ", ".join(layout.axes),
        ]
        for layout in list_layouts()
    ]

    rows = page("docs/reference/layouts.md").table("layout")

    assert [row[:6] for row in rows] == expected


def test_the_reference_of_models_is_what_their_cards_say() -> None:
    made = models_page(list_models())

    assert (REPOSITORY / "docs/reference/models.md").read_text() == made, (
        "skelab models --markdown > docs/reference/models.md"
    )


def test_the_reference_of_recipes_has_every_key_with_its_default() -> None:
    expected = dict(recipe_keys(Recipe))

    listed = {row[0]: row[1] for row in page("docs/reference/recipes.md").table("key")}

    assert listed == expected


def test_the_reference_of_recipes_has_every_split() -> None:
    expected = [split.name for split in list_splits()]

    listed = [row[0] for row in page("docs/reference/recipes.md").table("split")]

    assert sorted(listed[:-1]) == sorted(expected)  # the last row is the split written out


def test_the_page_of_dependencies_has_every_direct_one() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    wanted = [*project["dependencies"], *(name for extra in extras.values() for name in extra)]
    expected = {re.split(r"[<>=!~ \[;]", requirement)[0] for requirement in wanted}

    text = (REPOSITORY / "docs/explanation/dependencies.md").read_text()

    listed = set(re.findall(r"^\| [^|]+ \| `([^`]+)` \|", text, flags=re.MULTILINE))
    assert listed == expected


def recipe_keys(model: type[BaseModel], above: str = "") -> Iterator[tuple[str, str]]:
    """Dotted keys of a recipe with their defaults as YAML shows them; empty where required."""
    for name, field in model.model_fields.items():
        kind = field.annotation
        if inspect.isclass(kind) and issubclass(kind, BaseModel):
            yield from recipe_keys(kind, f"{above}{name}.")
        else:
            required = field.is_required() or field.default == ""
            yield f"{above}{name}", "" if required else json.dumps(field.default).strip('"')
