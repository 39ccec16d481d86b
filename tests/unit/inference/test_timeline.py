"""Timelines: what was done when, by whom, and never by whom it was not."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from export_kit import family_checkpoint
from jaxtyping import Float32, Float64
from numpy import ndarray
from pose_kit import some_landmarks

from skelab.data.feeding.feeder import FeederConfig
from skelab.errors import DataError, ModelError, NetworkError
from skelab.inference import Network, NetworkSpec, open_network
from skelab.inference.checkpoint import InputSpec
from skelab.inference.timeline import (
    Answer,
    TimelineSettings,
    join_answers,
    make_timeline,
)
from skelab.models import ModelSpec
from skelab.pose.landmarks import Landmarks
from skelab.skeleton import Layout, get_layout

NTU25 = get_layout("ntu25")
HAND, HEAD = NTU25.joints.index("left hand"), NTU25.joints.index("head")


def looking_network(layout: Layout = NTU25, units: str = "metres") -> Network:
    """A network that sees how long the left hand of body 1 is above the head."""

    def forward(batch: Float32[ndarray, "N C T V M"]) -> Float32[ndarray, "N 2"]:
        raised = (batch[:, 1, :, HAND, 0] > batch[:, 1, :, HEAD, 0]).mean(axis=1)
        return np.stack([8 * (0.5 - raised), 8 * (raised - 0.5)], axis=1).astype(np.float32)

    inputs = InputSpec("ctrgcn", units, "ntu", ("still", "raise"), FeederConfig(window=16))
    model = ModelSpec("ctrgcn", 2, layout, len(layout.axes), 2)
    spec = NetworkSpec(model, "a looking network", inputs, "0" * 32, 1, "honest")
    return Network(Path("looking"), spec, "torch", forward)


def raising(first: int, end: int, frames: int, bodies: int = 1) -> Landmarks:
    """People who stand, and raise the left hand for some frames."""

    def move(frame: int) -> Float64[ndarray, "33 3"]:
        change = np.zeros((33, 3))
        if first <= frame < end:
            change[[15, 17, 19, 21], 1] = -1.2
        return change

    return some_landmarks(frames, bodies, move=move)


def test_what_is_done_for_a_while_is_found_there() -> None:
    landmarks = raising(90, 180, 300)

    timeline = make_timeline(looking_network(), landmarks, TimelineSettings(1.0, 0.5))

    (person,) = timeline.people
    assert [segment.action for segment in person.segments] == ["still", "raise", "still"]
    assert person.segments[1].start == pytest.approx(3.0, abs=0.3)
    assert person.segments[1].end == pytest.approx(6.0, abs=0.3)
    assert (person.segments[0].start, person.segments[-1].end) == (0.0, 10.0)
    assert person.at(4.5) == person.segments[1]
    assert person.at(11.0) is None
    assert (timeline.seconds, timeline.video) == (10.0, "film.mp4")


def test_each_person_has_a_timeline() -> None:
    one, two = raising(0, 0, 120), raising(0, 120, 120, bodies=2).of_body(2)
    order = np.argsort(np.concatenate([one.frames, two.frames]), kind="stable")
    arrays = {
        name: np.concatenate([getattr(one, name), getattr(two, name)])[order]
        for name in ("frames", "bodies", "picture", "world", "visibility", "scores")
    }

    timeline = make_timeline(looking_network(), Landmarks(one.info, **arrays))

    said = {person.person: person.segments[0].action for person in timeline.people}
    assert said == {1: "still", 2: "raise"}


def test_somebody_who_is_there_too_shortly_has_none() -> None:
    landmarks = raising(0, 0, 300)
    keep = landmarks.frames < 20
    short = replace(
        landmarks,
        **{
            name: getattr(landmarks, name)[keep]
            for name in ("frames", "bodies", "picture", "world", "visibility", "scores")
        },
    )

    assert make_timeline(looking_network(), short, TimelineSettings(2.0)).people == ()
    assert len(make_timeline(looking_network(), short, TimelineSettings(1.0)).people) == 1


def test_a_gap_makes_no_answers() -> None:
    landmarks = raising(0, 0, 300)
    keep = (landmarks.frames < 90) | (landmarks.frames >= 210)
    names = ("frames", "bodies", "picture", "world", "visibility", "scores")
    gone = replace(landmarks, **{name: getattr(landmarks, name)[keep] for name in names})

    (person,) = make_timeline(looking_network(), gone, TimelineSettings(1.0, 0.5)).people

    assert len(person.segments) == 2
    assert person.at(5.0) is None


def test_nobody_has_no_timeline() -> None:
    assert make_timeline(looking_network(), raising(0, 0, 30).of_body(9)).people == ()


def answers(*actions: str, window: float = 1.0, step: float = 0.5) -> Sequence[Answer]:
    """Answers of a window that slides."""
    return [
        Answer(step * number, step * number + window, ((action, 0.5 + number / 10),))
        for number, action in enumerate(actions)
    ]


def test_answers_of_one_action_are_put_together() -> None:
    first, second = join_answers(answers("a", "a", "b"))

    assert (first.start, first.end, first.action) == (0.0, 1.25, "a")
    assert first.probability == pytest.approx(0.55)
    assert (second.start, second.end, second.action) == (1.25, 2.0, "b")


def test_answers_apart_are_not_put_together() -> None:
    early, late = answers("a"), [Answer(7.0, 8.0, (("a", 0.9),))]

    found = list(join_answers([*early, *late]))

    assert [(segment.start, segment.end) for segment in found] == [(0.0, 1.0), (7.0, 8.0)]


def test_answers_that_touch_are_put_together() -> None:
    found = list(join_answers(answers("a", "a", "b", window=0.5)))

    assert [(each.start, each.end) for each in found] == [(0.0, 1.0), (1.0, 1.5)]


def test_a_causal_network_answers_while_it_sees(tmp_path: Path) -> None:
    classes = ("still", "raise")
    options = {"width": 4, "causal": True}
    path = tmp_path / "net.safetensors"
    family_checkpoint(path, "stgcn", layout=NTU25, classes=classes, options=options)

    timeline = make_timeline(
        open_network(path), raising(0, 0, 60), TimelineSettings(step=0.5), stream=True
    )

    (person,) = timeline.people
    assert [round(answer.end, 2) for answer in person.answers] == [0.5, 1.0, 1.5, 2.0]
    assert sum(segment.end - segment.start for segment in person.segments) == pytest.approx(2.0)


def test_a_network_that_looks_ahead_cannot_stream(tmp_path: Path) -> None:
    path = tmp_path / "net.safetensors"
    family_checkpoint(
        path, "stgcn", layout=NTU25, classes=("a", "b"), options={"width": 4, "causal": False}
    )

    with pytest.raises(ModelError, match="expected a causal network"):
        make_timeline(open_network(path), raising(0, 0, 60), stream=True)


def test_other_layouts_and_units_are_refused() -> None:
    with pytest.raises(
        NetworkError, match=r"layout sbu15: people in videos can be mapped to ntu25"
    ):
        make_timeline(looking_network(get_layout("sbu15")), raising(0, 0, 30))
    with pytest.raises(NetworkError, match=r"are normalised, and those of videos are metres"):
        make_timeline(looking_network(units="normalised"), raising(0, 0, 30))


@pytest.mark.parametrize("settings", [{"window": 0.0}, {"step": -1.0}, {"top": 0}])
def test_times_that_make_no_timeline_are_refused(settings: dict[str, float]) -> None:
    with pytest.raises(DataError, match="expected a window of up to an hour, a step and a number"):
        TimelineSettings(**settings)  # type: ignore[arg-type]


def test_a_timeline_is_plain_json() -> None:
    content = make_timeline(looking_network(), raising(0, 0, 90)).to_json()

    assert content["format"] == 1
    assert content["people"][0]["answers"][0]["top"][0]["class"] == "still"
    assert content["people"][0]["segments"][0]["action"] == "still"
