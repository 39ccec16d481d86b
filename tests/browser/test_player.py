"""The player in a real browser: with the mouse, with fingers, with keys alone, dark and small."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browser_kit import PHONE, chromium, colours, open_page, quiet_page, wait_until
from viewer_kit import NTU25, a_scene, an_answer, standing

from skelab.viewer import Pane, Scene, render_page
from skelab.viewer.packing import unpack_poses
from skelab.viewer.page import player_data, render_frame

FRAMES = 40


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """One Chromium for all tests of this file."""
    with chromium() as made:
        yield made


@pytest.fixture
def page(browser: Any) -> Iterator[Any]:
    """A page of 1280 pixels, for a reader who asks for little motion."""
    with quiet_page(browser) as made:
        yield made


@pytest.fixture(scope="module")
def scene() -> Scene:
    """Two people, as recorded and preprocessed, with what a network says of them."""
    poses = standing(FRAMES, 2)
    panes = (Pane("As recorded", poses), Pane("Preprocessed: ctrgcn", poses - poses[0, 0, 1]))
    return a_scene(FRAMES, 2, panes=panes, label="wave", answer=an_answer(FRAMES, 2))


@pytest.fixture(scope="module")
def file(scene: Scene, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The scene as a page."""
    return written(scene, tmp_path_factory.mktemp("page") / "clip.html")


def written(scene: Scene, path: Path) -> Path:
    """A scene as a page in a file."""
    path.write_text(render_page(scene), encoding="utf-8")
    return path


def frame_of(page: Any) -> int:
    """The frame that is shown."""
    return int(page.locator(".skv").get_attribute("data-frame"))


def spot(page: Any, joint: str, *, pane: int = 1) -> tuple[float, float]:
    """Where a joint of the first body is in the window."""
    place: dict[str, float] = page.evaluate(
        """([pane, joint]) => {
          const { panes } = document.querySelector(".skv").player;
          const box = panes[pane].canvas.getBoundingClientRect();
          const hit = panes[pane].hits.find((each) => each.joint === joint && each.body === 0);
          return { x: box.left + hit.x, y: box.top + hit.y };
        }""",
        [pane, NTU25.joint(joint)],
    )
    return place["x"], place["y"]


def settle(page: Any) -> None:
    """Wait until what was asked for is drawn."""
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => setTimeout(done)))")


def test_it_plays_and_pauses(page: Any, file: Path) -> None:
    open_page(page, file)

    page.get_by_role("button", name="Play", exact=True).click()
    wait_until(page, "document.querySelector('.skv').dataset.frame > 3")
    page.get_by_role("button", name="Pause").click()
    stopped = frame_of(page)
    page.wait_for_timeout(150)

    assert frame_of(page) == stopped
    assert page.get_by_role("button", name="Play", exact=True).is_visible()


def test_the_slider_scrubs_and_says_where_it_is(page: Any, file: Path) -> None:
    open_page(page, file)
    slider = page.get_by_role("slider", name="Frame")

    box = slider.bounding_box()
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)

    assert frame_of(page) in (19, 20)
    assert re.fullmatch(
        r"frame 2[01] of 40, 0\.6[0-9] seconds", slider.get_attribute("aria-valuetext")
    )
    assert re.match(r"2[01] / 40", page.locator(".skv-clock").inner_text())


def test_buttons_step_by_a_frame_and_go_round(page: Any, file: Path) -> None:
    open_page(page, file)

    page.get_by_role("button", name="One frame back").click()
    last = frame_of(page)
    page.get_by_role("button", name="One frame on").click()
    page.get_by_role("button", name="One frame on").click()

    assert (last, frame_of(page)) == (FRAMES - 1, 1)


def test_the_speed_changes_how_fast_frames_pass(page: Any, file: Path) -> None:
    open_page(page, file)

    page.get_by_role("combobox", name="Speed").select_option("0.25")

    assert page.evaluate("document.querySelector('.skv').player.speed") == 0.25


def test_all_of_it_works_with_keys_alone(page: Any, file: Path) -> None:
    open_page(page, file)

    page.keyboard.press("Tab")  # the first picture
    before = page.evaluate("[...document.querySelector('.skv').player.angles]")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("+")
    turned = page.evaluate("[...document.querySelector('.skv').player.angles]")
    page.keyboard.press(".")
    page.keyboard.press(".")
    page.keyboard.press(",")
    stepped = frame_of(page)
    page.keyboard.press("End")
    end = frame_of(page)
    page.keyboard.press("Home")
    page.keyboard.press("]")
    page.keyboard.press("j")
    page.keyboard.press("j")
    told = page.get_by_role("status").inner_text()
    page.keyboard.press("Space")
    wait_until(page, "document.querySelector('.skv').dataset.frame > 2")
    page.keyboard.press("Space")
    page.keyboard.press("0")

    player = "document.querySelector('.skv').player"
    assert turned[0] > before[0]
    assert turned[1] > before[1]
    assert (stepped, end) == (1, FRAMES - 1)
    assert told.startswith("body 1: middle of spine (")
    assert page.evaluate(f"{player}.speed") == 2
    assert page.evaluate(f"{player}.playing") is False
    assert page.evaluate(f"{player}.zoom") == 1


def test_every_control_can_be_reached_by_tab_and_has_a_name(page: Any, file: Path) -> None:
    open_page(page, file)
    wanted = page.locator("button:enabled, select, input, canvas[tabindex], summary").count()
    reached = set()

    for _ in range(wanted + 3):
        page.keyboard.press("Tab")
        reached.add(
            page.evaluate(
                """() => {
                  const { activeElement: at } = document;
                  const label = at.labels?.[0]?.textContent ?? at.textContent;
                  return `${at.tagName} ${at.getAttribute("aria-label") ?? label}`;
                }"""
            )
        )

    assert {
        "BUTTON Play",
        "BUTTON One frame back",
        "BUTTON Front",
        "BUTTON Larger",
        "BUTTON Colours: of the system",
        "INPUT Frame",
        "SELECT Speed",
        "SELECT Layer",
        "INPUT As recorded",
        "INPUT Joint names",
        "INPUT Gradient times input",
        "SUMMARY Keys",
    } <= reached
    assert all(len(name.split(" ", 1)[1]) > 1 for name in reached if not name.startswith("BODY"))


def test_pictures_say_what_they_show(page: Any, file: Path) -> None:
    open_page(page, file)
    settle(page)

    pictures = page.get_by_role("img")

    labels = [pictures.nth(k).get_attribute("aria-label") for k in range(pictures.count())]
    assert labels == [
        "As recorded: 2 bodies, frame 1 of 40, 0.00 seconds",
        "Preprocessed: ctrgcn: 2 bodies, frame 1 of 40, 0.00 seconds",
    ]


def test_pointing_at_a_joint_or_a_bone_names_it(page: Any, file: Path) -> None:
    open_page(page, file)
    settle(page)
    tip = page.locator(".skv-tip").nth(1)

    page.mouse.move(*spot(page, "head"))
    joint = tip.inner_text()
    (a, b), (u, v) = spot(page, "left hip"), spot(page, "left knee")
    page.mouse.move((a + u) / 2, (b + v) / 2)
    bone = tip.inner_text()
    page.mouse.move(5, 5)

    assert re.match(r"body 1: head \(-?\d\.\d\d, -?\d\.\d\d, -?\d\.\d\d\) m", joint)
    assert re.fullmatch(r"body 1: left hip \u2013 left knee, 0\.4\d m", bone)
    assert not tip.is_visible()


def test_a_joint_that_carries_evidence_says_so(page: Any, file: Path) -> None:
    open_page(page, file)
    settle(page)

    page.mouse.move(*spot(page, "right hand"))

    said = page.locator(".skv-tip").nth(1).inner_text()
    assert said.endswith("· for it, 100% of the strongest")


def test_dragging_turns_and_the_views_turn_back(page: Any, file: Path) -> None:
    open_page(page, file)
    angles = "[...document.querySelector('.skv').player.angles]"
    x, y = spot(page, "head")

    before = page.evaluate(angles)
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 80, y + 20, steps=4)
    page.mouse.up()
    after = page.evaluate(angles)
    page.get_by_role("button", name="Side").click()

    assert after[0] != before[0]
    assert page.evaluate(angles)[0] == pytest.approx(np.pi / 2)


def test_the_wheel_zooms_only_on_a_picture_that_was_clicked(page: Any, file: Path) -> None:
    open_page(page, file)
    zoom = "document.querySelector('.skv').player.zoom"
    page.mouse.move(*spot(page, "head"))

    page.mouse.wheel(0, -200)
    page.wait_for_timeout(60)
    untouched = page.evaluate(zoom)
    page.mouse.down()
    page.mouse.up()
    page.mouse.wheel(0, -200)
    wait_until(page, f"{zoom} > 1")

    assert untouched == 1


def test_the_recording_can_be_put_away(page: Any, file: Path) -> None:
    open_page(page, file)

    page.get_by_role("checkbox", name="As recorded").uncheck()

    assert [figure.is_visible() for figure in page.locator("figure").all()] == [False, True]


@pytest.mark.parametrize(
    ("scheme", "ground"), [("light", "rgb(254, 254, 253)"), ("dark", "rgb(20, 23, 26)")]
)
def test_colours_are_those_of_the_system_until_the_reader_says_otherwise(
    scheme: str, ground: str, browser: Any, file: Path
) -> None:
    def paper(page: Any) -> str:
        colour: str = page.evaluate("getComputedStyle(document.body).backgroundColor")
        return colour

    with quiet_page(browser, color_scheme=scheme) as page:
        open_page(page, file)
        by_system = paper(page)
        page.get_by_role("button", name="Colours: of the system").click()
        dark = paper(page)
        page.get_by_role("button", name="Colours: dark").click()
        light = paper(page)

    assert by_system == ground
    assert (dark, light) == ("rgb(20, 23, 26)", "rgb(254, 254, 253)")


def test_it_starts_by_itself_unless_the_system_asks_for_little_motion(
    browser: Any, file: Path
) -> None:
    with quiet_page(browser, reduced_motion="no-preference") as lively:
        open_page(lively, file)
        wait_until(lively, "document.querySelector('.skv').dataset.frame > 2")
    with quiet_page(browser) as still:
        open_page(still, file)
        still.wait_for_timeout(150)
        frame = frame_of(still)

    assert frame == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_everything_fits_on_a_phone_and_is_large_enough_to_touch(
    scheme: str, browser: Any, file: Path
) -> None:
    options = {"viewport": PHONE, "color_scheme": scheme, "has_touch": True, "is_mobile": True}
    with quiet_page(browser, **options) as page:
        open_page(page, file)
        settle(page)
        x, y = spot(page, "head")
        page.touchscreen.tap(x, y)
        told = page.locator(".skv-tip").nth(1).inner_text()
        width = page.evaluate("document.documentElement.scrollWidth")
        controls = [
            each.bounding_box()
            for each in page.locator("button, select, .skv-check, input[type=range]").all()
        ]
        picture = page.screenshot(full_page=True)

    assert width == 390
    assert told.startswith("body 1: head")
    for box in controls:
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= 390
        assert min(box["width"], box["height"]) >= 24  # WCAG 2.2, success criterion 2.5.8
    assert colours(picture) > 50


def test_the_answer_and_the_reasons_can_be_read_and_switched(page: Any, file: Path) -> None:
    open_page(page, file)
    aside = page.get_by_role("complementary", name="Prediction")

    text = aside.inner_text()
    page.get_by_role("radio", name="Off").check()
    off = page.locator(".skv-strip").is_visible()
    page.get_by_role("radio", name="Occlusion").check()
    page.get_by_role("combobox", name="Layer").select_option("0")
    settle(page)

    assert "CTR-GCN, trained on made-up" in text
    assert re.search(r"wave\s+75%", text)
    assert re.search(r"body 1, right hand\s+100%", text)
    assert "Moments: most for it at 0.00 s." in text
    assert "joints 0.50, moments not defined" in text
    assert not off
    assert page.locator(".skv-strip").is_visible()
    assert "The 1 strongest link" in aside.inner_text()


def test_the_browser_reads_the_poses_that_were_packed(page: Any, file: Path, scene: Scene) -> None:
    open_page(page, file)

    found = page.evaluate(
        """() => {
          const { player } = document.querySelector(".skv");
          return player.panes.map((pane) => pane.bodies.map((points) => Array.from(points)));
        }"""
    )

    for pane, points, packed in zip(scene.panes, found, player_data(scene)["panes"], strict=True):
        expected = unpack_poses(packed, pane.poses.shape)
        np.testing.assert_allclose(np.array(points).reshape(pane.poses.shape), expected, atol=1e-5)


def test_a_body_that_is_away_is_not_drawn_and_the_picture_says_so(
    page: Any, tmp_path: Path
) -> None:
    poses = standing(6)
    poses[0, 2:] = np.nan
    open_page(page, written(a_scene(6, panes=(Pane("Clip", poses),)), tmp_path / "clip.html"))

    page.get_by_role("button", name="One frame back").click()
    settle(page)

    label = page.get_by_role("img").get_attribute("aria-label")
    assert label == "Clip: 0 bodies, frame 6 of 6, 0.17 seconds"


def test_the_name_under_the_pointer_follows_who_moves(page: Any, file: Path) -> None:
    open_page(page, file)
    settle(page)
    tip = page.locator(".skv-tip").nth(1)
    page.mouse.move(*spot(page, "head"))

    page.keyboard.press("Space")
    wait_until(page, "document.querySelector('.skv').dataset.frame > 5")
    page.keyboard.press("Space")
    told = tip.inner_text()

    x = page.evaluate("document.querySelector('.skv').player.panes[1].bodies[0].at(3 * 3)")
    assert told.startswith("body 1: head (")
    assert f"({x:.2f}, " not in told  # not where the head was in the first frame


def test_one_frame_can_be_turned_but_not_played(page: Any, tmp_path: Path) -> None:
    open_page(page, written(a_scene(1), tmp_path / "clip.html"))

    playing = page.get_by_role("button", name="Play", exact=True).is_enabled()
    slider = page.get_by_role("slider", name="Frame").is_enabled()
    page.get_by_role("button", name="Top").click()
    settle(page)

    assert (playing, slider) == (False, False)
    assert page.evaluate("document.querySelector('.skv').player.angles[1]") > 1


def test_the_policy_of_the_page_refuses_other_scripts(browser: Any, file: Path) -> None:
    context = browser.new_context()
    page = context.new_page()
    page.goto(file.as_uri())

    page.evaluate(
        """() => {
          const script = document.createElement("script");
          script.textContent = "window.foreign = true";
          document.body.append(script);
        }"""
    )

    assert page.evaluate("window.foreign") is None
    context.close()


def test_a_notebook_shows_it_in_a_frame(page: Any, scene: Scene) -> None:
    page.set_content(f"<h1>a notebook</h1>{render_frame(scene)}")
    inside = page.frame_locator("iframe")

    inside.get_by_role("button", name="One frame on").click()

    assert inside.locator(".skv").get_attribute("data-frame") == "1"
