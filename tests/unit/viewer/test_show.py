"""`skelab.view`: one call from a clip to something to look at."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from planted_evidence import arm_clip, train_arm_network
from viewer_kit import a_clip, standing

import skelab
from skelab.errors import DataError, OutputError
from skelab.viewer import View


@pytest.fixture(scope="module")
def arm_network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small network that knows whether somebody raises the right arm."""
    return train_arm_network(tmp_path_factory.mktemp("arm") / "arm.safetensors")


def test_a_view_is_saved_by_its_suffix(tmp_path: Path) -> None:
    view = skelab.view(a_clip(6))

    page, picture, film = (view.save(tmp_path / f"a.{kind}") for kind in ("html", "png", "gif"))

    assert page.read_text().startswith("<!doctype html>")
    with Image.open(picture) as image:
        assert image.format == "PNG"
    with Image.open(film) as image:
        assert image.format == "GIF"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.gif", "a.html", "a.png"]


def test_a_notebook_shows_the_player() -> None:
    view = skelab.view(standing(5))

    assert isinstance(view, View)
    assert view._repr_html_().startswith("<iframe")
    assert view.describe() == ["clip, 5 frames, 0.2 s, 1 body, ntu25"]


@pytest.mark.parametrize("name", ["clip", "clip.txt", "clip.jpeg"])
def test_another_suffix_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"ends with \.html, \.gif, \.mp4, \.png, found"):
        skelab.view(a_clip()).save(tmp_path / name)


def test_colours_and_heights_that_there_are_not_are_refused(tmp_path: Path) -> None:
    view = skelab.view(a_clip())

    with pytest.raises(OutputError, match=r"unknown theme 'pink'.* Known: dark, light"):
        view.save(tmp_path / "a.png", theme="pink")
    with pytest.raises(OutputError, match="expected a height of 120 to 2160 pixels, found 4"):
        view.save(tmp_path / "a.png", height=4)


def test_a_stretch_and_the_speed_can_be_chosen() -> None:
    view = skelab.view(a_clip(20), frames=(5, 15), frames_per_second=20)

    assert view.describe() == ["clip, 10 frames, 0.5 s, 1 body, ntu25"]


def test_the_recording_can_be_left_out() -> None:
    both, alone = skelab.view(standing(5)), skelab.view(standing(5), raw=False)

    assert [len(view.scene.panes) for view in (both, alone)] == [2, 1]
    assert alone.scene.panes[0].title == "Preprocessed: ctrgcn"


def test_a_network_adds_its_answer_and_the_reasons(arm_network: Path, tmp_path: Path) -> None:
    clip = arm_clip(101, raised=True)

    view = skelab.view(clip, network=arm_network)

    answer = view.scene.answer
    assert answer is not None
    assert (answer.network, answer.trained_on) == ("CTR-GCN", "SYNTHETIC clips")
    assert answer.target == "arm raised"
    assert [each.method for each in answer.evidence] == ["Gradient times input", "Occlusion"]
    assert all(each.joints.shape == (1, 28, 25) for each in answer.evidence)
    assert len(answer.layers) == 10
    assert "CTR-GCN says arm raised" in view.describe()[1]
    with Image.open(view.save(tmp_path / "a.png", height=160)) as image:
        assert image.width > image.height


def test_reasons_for_a_recording_stand_on_the_frames_of_the_recording(arm_network: Path) -> None:
    joints = arm_clip(101, raised=True).joints + np.float32(3.0)
    joints[:, :4] = 0  # nobody is there at first

    view = skelab.view(joints, network=arm_network, target="arm down")

    answer = view.scene.answer
    assert answer is not None
    assert answer.target == "arm down"
    assert view.scene.num_frames == 28
    assert not answer.evidence[0].joints[:, :4].any()
    assert answer.evidence[0].joints[:, 6:].any()


def test_what_does_not_fit_the_network_is_refused(arm_network: Path) -> None:
    with pytest.raises(DataError, match="the network was trained on pipeline ctrgcn, found --pipe"):
        skelab.view(standing(5), network=arm_network, pipeline="msg3d")
    with pytest.raises(DataError, match="expected frames x 25 joints x 3"):
        skelab.view(np.ones((5, 20, 3)), network=arm_network)
    with pytest.raises(DataError, match="a class to give reasons for needs a network"):
        skelab.view(a_clip(), target="wave")
