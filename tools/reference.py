"""Writes the pages that follow from the code: the section of each command, and the Python API.

``python tools/reference.py`` writes them; tests/docs/test_generated_pages.py compares them.
"""

import inspect
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import typer

import skelab
from skelab.cli.help import EXAMPLES, plain_name
from skelab.cli.main import app

REFERENCE: Final = Path(__file__).resolve().parents[1] / "docs" / "reference"
BEGIN: Final = "<!-- what follows is written by tools/reference.py -->"

_SECTION: Final = re.compile(r"(Args|Attributes|Returns|Yields|Raises|Source|Note|Example)s?:(.*)")
_ROLE: Final = re.compile(r":\w+:`~?([^`]+)`")


def commands_page(text: str) -> str:
    """The page of commands with a new section for each command; the rest stays.

    Args:
        text: The page as it is.
    """
    group: Any = typer.main.get_command(app)
    sections = [_command(name, command) for name, command in group.commands.items()]
    kept = text.split(BEGIN)[0].rstrip()
    return "\n\n".join([kept, BEGIN, "## Every option", *sections]) + "\n"


def api_page() -> str:
    """The page of the public names of ``skelab``, from their docstrings."""
    names = sorted(skelab.__all__, key=str.lower)
    kept = [name for name in names if not name.startswith("_")]
    intro = (
        "Everything that `import skelab` offers, from the docstrings of the code."
        " N counts clips, C channels, T frames, V joints, M bodies and K classes."
    )
    entries = [_entry(name, getattr(skelab, name)) for name in kept]
    return "\n\n".join(["# Python", textwrap.fill(intro, 118), *entries]) + "\n"


def _command(name: str, command: Any) -> str:
    context = typer.Context(command, info_name=f"skelab {name}")
    about = inspect.cleandoc(command.help or "")
    lines = [f"Usage: skelab {name} {' '.join(command.collect_usage_pieces(context))}", ""]
    for param in command.params:
        record = param.get_help_record(context)
        if record is None:
            continue
        label = plain_name(record[0], param.param_type_name)
        said = textwrap.wrap(param.help or "", 72)
        lines += [label, *(f"    {line}" for line in said)]
    if name in EXAMPLES:
        lines += ["", "Examples:", *(f"    {line}" for line in EXAMPLES[name])]
    return f"### skelab {name}\n\n{about}\n\n```text\n" + "\n".join(lines) + "\n```"


def _entry(name: str, thing: Any) -> str:
    """A public class or function: its call, and what its docstring says."""
    lines = [f"## skelab.{name}", "", "```text", f"{name}{_call(thing)}", "```", ""]
    return "\n".join([*lines, *_prose(inspect.getdoc(thing) or "")]).rstrip()


def _call(thing: Any) -> str:
    """The names of the parameters with their defaults; types are in the text."""
    try:
        parameters = inspect.signature(thing).parameters.values()
    except (TypeError, ValueError):
        return ""
    said, keywords = [], False
    for parameter in parameters:
        if parameter.kind is parameter.KEYWORD_ONLY and not keywords:
            said.append("*")
            keywords = True
        if parameter.kind is parameter.VAR_POSITIONAL:
            keywords = True
        stars = {"VAR_POSITIONAL": "*", "VAR_KEYWORD": "**"}.get(parameter.kind.name, "")
        plain = parameter.default is None or isinstance(
            parameter.default, str | int | float | tuple
        )
        value = repr(parameter.default) if plain else "..."
        default = "" if parameter.default is parameter.empty else f"={value}"
        said.append(f"{stars}{parameter.name}{default}")
    return f"({', '.join(said)})"


def _prose(doc: str) -> Iterator[str]:
    """A docstring of Google's form as Markdown: sections become bold words, their entries lists."""
    inside = False
    for line in _ROLE.sub(r"`\1`", doc).replace("``", "`").splitlines():
        section = _SECTION.fullmatch(line)
        if section:
            inside = True
            yield f"**{section[1]}.**{section[2]}"
            yield ""
        elif inside and (entry := re.match(r"    (\S[^:]*): (.*)", line)):
            yield f"- `{entry[1]}`: {entry[2]}"
        elif line and not line.startswith(" "):
            inside = False
            yield line
        else:
            yield f"  {line.strip()}" if line.strip() else ""


def main() -> None:
    """Write both pages."""
    commands, api = REFERENCE / "commands.md", REFERENCE / "api.md"
    commands.write_text(commands_page(commands.read_text(encoding="utf-8")), encoding="utf-8")
    api.write_text(api_page(), encoding="utf-8")


if __name__ == "__main__":
    main()
