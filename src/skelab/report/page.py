"""Shared parts of all pages: style sheet, script, templates; pages are self-contained."""

import base64
import hashlib
from collections.abc import Sequence
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined, Template
from markupsafe import Markup

from skelab._version import __version__
from skelab.files.atomic import atomic_write
from skelab.report.tables import percent


def write_page(path: Path, html: str) -> None:
    """Write a page as one HTML file, whole or not at all.

    Raises:
        OutputError: The file cannot be written; what was there before is untouched.
    """
    with atomic_write(path) as temporary:
        temporary.write_text(html, encoding="utf-8")


def render_page(
    template: str,
    *,
    room: str = "skelab.report",
    more_scripts: Sequence[str] = (),
    more_styles: Sequence[str] = (),
    **content: Any,
) -> str:
    """A page as text, with its own style and its one script; texts in ``content`` are escaped.

    Args:
        template: Its file in the folder ``templates`` of a room.
        room: The package of the template; macros are those of ``report``.
        more_scripts: Further scripts, which become part of the page's one script.
        more_styles: Further style sheets.
        **content: Variables of the template.
    """
    script = "\n".join([verbatim("report.js.jinja"), *more_scripts])
    return _template(template, room).render(
        version=__version__,
        style=Markup("\n".join([verbatim("report.css"), *more_styles])),  # noqa: S704
        script=Markup(script),  # noqa: S704
        script_digest=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        **content,
    )


@cache
def _template(name: str, room: str) -> Template:
    rooms = dict.fromkeys((room, "skelab.report"))
    environment = Environment(
        loader=ChoiceLoader([PackageLoader(each) for each in rooms]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["percent"] = percent
    return environment.get_template(name)


@cache
def verbatim(name: str) -> str:
    """A file of the folder ``templates`` as it stands."""
    return (resources.files("skelab.report") / "templates" / name).read_text("utf-8")
