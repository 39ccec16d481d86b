"""The page holds all that it shows, names its one script and style by digest, and is small."""

import base64
import hashlib
import json
import re

import numpy as np
import pytest
from viewer_kit import NTU25, a_scene, an_answer, standing

from skelab.viewer.packing import unpack_poses
from skelab.viewer.page import player_data, player_element, render_frame, render_page
from skelab.viewer.scene import Pane, Scene


def content_of(page: str) -> dict[str, object]:
    """The clip in a page."""
    found = re.search(r'<script type="application/json">(.*?)</script>', page, re.DOTALL)
    assert found
    content: dict[str, object] = json.loads(found[1])
    return content


def test_the_policy_names_the_only_script_and_style_and_allows_nothing_else() -> None:
    page = render_page(a_scene())

    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page)
    assert policy
    for tag in ("script", "style"):
        (text,) = re.findall(rf"<{tag}>(.*?)</{tag}>", page, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy[1]
    assert policy[1].startswith("default-src 'none'; ")
    assert "unsafe" not in policy[1]


def test_the_page_names_no_host_and_fetches_nothing() -> None:
    page = render_page(a_scene(answer=an_answer()))

    addresses = set(re.findall(r"[a-z]+://[^\s\"']*", page))
    assert addresses == {"http://www.w3.org/2000/svg"}  # the name of a language
    assert not re.search(r"\b(fetch|XMLHttpRequest|WebSocket|import)\s*\(", page)
    assert not re.search(r"(?:src|href)=\"(?!data:)", page)


@pytest.mark.parametrize("bodies", [1, 2])
def test_120_frames_beside_their_recording_take_at_most_100_kilobytes(bodies: int) -> None:
    poses = standing(120, bodies) + np.random.default_rng(1).normal(
        0, 0.01, (bodies, 120, 25, 3)
    ).astype(np.float32)
    panes = (Pane("As recorded", poses), Pane("Preprocessed: ctrgcn", poses - poses[0, 0, 0]))
    scene = a_scene(120, bodies, panes=panes)

    page = render_page(scene)

    assert len(page.encode()) <= 100_000


def test_the_same_clip_gives_the_same_bytes() -> None:
    assert render_page(a_scene()) == render_page(a_scene())


def test_names_cannot_break_out_of_the_page() -> None:
    name = "</script><script>alert(1)</script>\u2028<b>"
    scene = a_scene(name=name, label="<i>wave</i>")

    page = render_page(scene)

    assert content_of(page)["name"] == name
    assert "alert(1)</script>" not in page
    assert "<i>wave" not in page


def test_a_notebook_gets_the_page_in_a_frame_without_rights() -> None:
    frame = render_frame(a_scene())

    assert frame.startswith('<iframe title="Clip clip" sandbox="allow-scripts" srcdoc="')
    assert frame.count("<") == frame.count(">") == 2
    assert "data-autoplay" not in frame.replace("hasAttribute(&quot;data-autoplay", "")


def test_the_data_says_joints_bones_sides_and_frames() -> None:
    scene = a_scene(5, 2)

    data = player_data(scene)

    assert data["joints"] == list(NTU25.joints)
    assert len(data["bones"]) == 24
    assert data["frames"] == [0, 1, 2, 3, 4]
    assert data["answer"] is None
    found = unpack_poses(data["panes"][0], (2, 5, 25, 3))
    np.testing.assert_allclose(found, scene.panes[0].poses, atol=1e-3)


def test_an_answer_says_what_speaks_most_and_how_far_the_methods_agree() -> None:
    answer = player_data(a_scene(answer=an_answer()))["answer"]

    assert answer["top"] == [["wave", 0.75], ["sit", 0.25]]
    assert answer["agreement"] == [0.5, None]
    assert answer["evidence"][0]["ranks"] == [[0, NTU25.joint("right hand"), 1.0]]
    assert answer["layers"][0]["beyond"] == 0.5
    links = answer["layers"][0]["links"]
    assert links == [[NTU25.joint("head"), NTU25.joint("right hand"), 1.0]]


def test_a_synthetic_clip_is_called_one() -> None:
    assert "Synthetic: a program made this clip" in render_page(a_scene(synthetic=True))
    assert "Synthetic" not in render_page(a_scene())


def test_an_element_plays_by_itself_only_where_it_is_told_to() -> None:
    scene: Scene = a_scene()

    assert player_element(scene).startswith("<div data-skelab-clip><script")
    assert player_element(scene, autoplay=True).startswith("<div data-skelab-clip data-autoplay>")
