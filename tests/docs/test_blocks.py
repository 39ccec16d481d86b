"""Every fenced block of the documentation runs, page by page, or says why it does not."""

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from docs.pages import RUNNABLE, Block, Page, read_pages

from skelab.models import registry

SECONDS_PER_BLOCK = 600


def pages_to_run() -> Iterator[Any]:
    """One case a page that has anything to run; slow pages carry the mark."""
    for page in read_pages():
        if any(block.language in RUNNABLE and block.norun is None for block in page.blocks):
            marks = [pytest.mark.slow] if page.is_slow else []
            yield pytest.param(page, id=page.name, marks=marks)


@pytest.mark.parametrize("page", list(pages_to_run()))
def test_the_blocks_of_a_page_run_in_order(
    page: Page, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(registry, "_FAMILIES", dict(registry._FAMILIES))  # a page adds its own
    names: dict[str, Any] = {"__name__": "__page__"}

    for block in page.blocks:
        where = f"{page.name}, line {block.line}"
        if block.norun is not None:
            continue
        if block.language == "python":
            run_python(block, names, where)
        elif block.language == "bash":
            run_bash(block.text, tmp_path, where)
        elif block.language == "console":
            run_console(block, tmp_path, where)


@pytest.mark.parametrize("page", read_pages(), ids=lambda page: page.name)
def test_a_block_that_is_not_run_gives_its_reason(page: Page) -> None:
    left_out = [block for block in page.blocks if block.norun is not None]

    for block in left_out:
        assert block.norun, f"{page.name}, line {block.line}: say why it cannot be run"
        assert len(block.norun.split()) >= 3, f"{page.name}, line {block.line}: say why in words"


@pytest.mark.parametrize("page", read_pages(), ids=lambda page: page.name)
def test_every_block_names_its_language(page: Page) -> None:
    known = {*RUNNABLE, "text", "yaml", "toml", "json"}

    languages = {block.language for block in page.blocks}

    assert languages <= known


def run_python(block: Block, names: dict[str, Any], where: str) -> None:
    """Run Python in the names of its page, so that tracebacks point into the page."""
    tree = ast.parse(block.text, filename=where)
    exec(compile(tree, where, "exec"), names)  # noqa: S102 - our own documentation


def run_bash(text: str, folder: Path, where: str) -> str:
    """Run a script with the commands of this environment first on the path; returns its stdout."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", text],
        cwd=folder,
        env={**os.environ, "PATH": path},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=SECONDS_PER_BLOCK,
        check=False,
    )
    said = f"{where}: exit {done.returncode}\n{done.stdout}\n{done.stderr}"
    assert done.returncode == 0, said
    return done.stdout


def run_console(block: Block, folder: Path, where: str) -> None:
    """Run each ``$ `` line; the lines below it must be its output, ``…`` standing for anything."""
    sessions: list[tuple[str, list[str]]] = []
    for line in block.text.splitlines():
        if line.startswith("$ "):
            sessions.append((line[2:], []))
        else:
            assert sessions, f"{where}: a console block begins with a `$ ` line"
            sessions[-1][1].append(line)
    for command, expected in sessions:
        rest = run_bash(command, folder, where)
        for piece in "\n".join(expected).split("…"):
            piece = piece.strip()
            assert piece in rest, f"{where}: `{command}` did not print\n{piece}\nbut\n{rest}"
            rest = rest[rest.index(piece) + len(piece) :]
