"""A scene as HTML: the player element and a self-contained page."""

import base64
import hashlib
import json
import math
from collections.abc import Mapping
from functools import cache
from html import escape
from importlib import resources
from typing import Any, Final

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from markupsafe import Markup

from skelab._version import __version__
from skelab.viewer.packing import pack_poses, pack_signed
from skelab.viewer.scene import (
    Answer,
    Evidence,
    Scene,
    share_beyond_bones,
    strongest_links,
)

MOST_LINKS: Final = 16
"""Number of joint pairs drawn per layer."""

MOST_RANKS: Final = 5
"""Number of joints named beside the player."""

_FRAME_HEIGHT: Final = {False: 640, True: 900}  # in notebooks; with an answer it is higher


def render_page(scene: Scene, *, autoplay: bool = True) -> str:
    """One self-contained, reproducible HTML file.

    Args:
        scene: The clip.
        autoplay: Start playing, unless the system prefers reduced motion.
    """
    style, script = player_style() + _verbatim("page.css"), player_script()
    return _template().render(
        version=__version__,
        scene=scene,
        facts=facts_of(scene)[0 if scene.label else 1 :],
        player=player_element(scene, autoplay=autoplay),
        style=Markup(style),  # noqa: S704
        script=Markup(script),  # noqa: S704
        style_digest=digest(style),
        script_digest=digest(script),
    )


def render_frame(scene: Scene) -> str:
    """The page in an isolated element for notebooks."""
    page = escape(render_page(scene, autoplay=False))
    height = _FRAME_HEIGHT[scene.answer is not None]
    title = escape(f"Clip {scene.name}")
    return (
        f'<iframe title="{title}" sandbox="allow-scripts" srcdoc="{page}"'
        f' style="width:100%;height:{height}px;border:0"></iframe>'
    )


def player_element(scene: Scene, *, autoplay: bool = False) -> Markup:
    """The element that :func:`player_script` turns into a player, for other pages."""
    return Markup(
        '<div data-skelab-clip{}><script type="application/json">{}</script>'
        "<noscript>This clip needs JavaScript to be seen.</noscript></div>"
    ).format(" data-autoplay" if autoplay else "", json_text(player_data(scene)))


def json_text(content: Mapping[str, Any]) -> Markup:
    """JSON escaped for an element ``<script type="application/json">``."""
    text = json.dumps(content, separators=(",", ":"), ensure_ascii=False)
    for character in "<\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)  # noqa: S704 - see above


def player_script() -> str:
    """The player script, without dependencies, for inlining."""
    return _verbatim("player.js")


def player_style() -> str:
    """The player's style sheet, scoped to the player."""
    return _verbatim("player.css")


def digest(text: str) -> str:
    """The hash of an inline script or style for a content security policy, after ``sha256-``."""
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def facts_of(scene: Scene) -> list[str]:
    """A few facts about the clip for its subtitle."""
    bodies = len(scene.panes[-1].poses)
    return [
        scene.name,
        f"{scene.num_frames:,} frame{'s' * (scene.num_frames != 1)}",
        f"{scene.num_frames / scene.frames_per_second:.1f} s",
        f"{bodies} {'bodies' if bodies != 1 else 'body'}",
        scene.layout.name,
    ]


def player_data(scene: Scene) -> dict[str, Any]:
    """The player's data as plain containers."""
    layout = scene.layout
    return {
        "name": scene.name,
        "joints": list(layout.joints),
        "bones": [list(bone) for bone in layout.bones],
        "sides": list(scene.sides),
        "flat": scene.is_flat,
        "fps": scene.frames_per_second,
        "frames": scene.frame_numbers.tolist(),
        "panes": [
            {"title": pane.title, "units": pane.units, **pack_poses(pane.poses)}
            for pane in scene.panes
        ],
        "answer": scene.answer and _answer(scene.answer, layout.bones),
    }


def _answer(answer: Answer, bones: tuple[tuple[int, int], ...]) -> dict[str, Any]:
    return {
        "network": answer.network,
        "trained_on": answer.trained_on,
        "top": [[name, round(share, 5)] for name, share in answer.top],
        "target": answer.target,
        "note": answer.note,
        "agreement": [None if math.isnan(rho) else round(rho, 3) for rho in answer.agreement],
        "evidence": [_evidence(each) for each in answer.evidence],
        "layers": [
            {
                "beyond": round(share_beyond_bones(each.weights, bones), 4),
                "links": [
                    [a, b, round(weight, 3)]
                    for a, b, weight in strongest_links(each.weights, bones, most=MOST_LINKS)
                ],
            }
            for each in answer.layers
        ],
    }


def _evidence(evidence: Evidence) -> dict[str, Any]:
    """Values from -1 to 1 as bytes, relative to the largest of joints or frames."""
    peak = float(np.abs(evidence.joints).max())
    return {
        "title": evidence.method,
        "joints": [pack_signed(body, peak) for body in evidence.joints],
        "frames": pack_signed(evidence.frames, float(np.abs(evidence.frames).max())),
        "ranks": [[body, joint, round(share, 4)] for body, joint, share in ranks(evidence)],
    }


def ranks(evidence: Evidence) -> list[tuple[int, int, float]]:
    """The joints with most evidence for the class: body, joint, share of all positive evidence."""
    totals = np.maximum(evidence.joints.mean(axis=1), 0)  # M V
    order = np.argsort(-totals, axis=None, kind="stable")[:MOST_RANKS]
    places = [divmod(int(place), totals.shape[1]) for place in order]
    whole = float(totals.sum()) or 1.0
    found = [(body, joint, float(totals[body, joint]) / whole) for body, joint in places]
    return [entry for entry in found if entry[2] > 0]


@cache
def _template() -> Template:
    environment = Environment(
        loader=PackageLoader("skelab.viewer"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("page.html.jinja")


@cache
def _verbatim(name: str) -> str:
    return (resources.files("skelab.viewer") / "templates" / name).read_text("utf-8")
