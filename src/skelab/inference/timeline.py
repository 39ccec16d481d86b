"""What the people in a video do, and when: a timeline of actions for each of them.

A network of whole clips sees a window that slides along the poses of one person. A causal network
sees every frame once, and answers after each.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool
from numpy import ndarray

from skelab.data.clips.clip import BodyTrack, Clip, RawClip
from skelab.errors import DataError, NetworkError, NoBodyError
from skelab.inference.clips import prepare_clip
from skelab.inference.network import Network
from skelab.inference.stream import StreamFrame
from skelab.pose.joint_maps import MAPPED_LAYOUTS, to_recording
from skelab.pose.landmarks import Landmarks

FORMAT = 1
"""Version of the timeline as JSON."""

_TOUCHING = 1e-6  # s between answers that follow each other
_UNITS = {True: "metres", False: "pixels"}


@dataclass(frozen=True)
class TimelineSettings:
    """How a timeline is made.

    Attributes:
        window: Seconds that a network of whole clips sees at once.
        step: Seconds from one answer to the next.
        presence: Least share of a window in which the person must be there.
        top: Classes of each answer.
    """

    window: float = 2.0
    step: float = 0.5
    presence: float = 0.5
    top: int = 3

    def __post_init__(self) -> None:
        """Refuse times that make no timeline."""
        if not (self.step > 0 and 0 < self.window <= 3600 and self.top >= 1):
            raise DataError(
                "expected a window of up to an hour, a step and a number of classes above 0, found"
                f" {self.window:g} s, {self.step:g} s and {self.top}"
            )


@dataclass(frozen=True)
class Answer:
    """What a network says of a stretch of time.

    Attributes:
        start: Seconds.
        end: Seconds.
        top: The likeliest classes with their probabilities, the likeliest first.
    """

    start: float
    end: float
    top: tuple[tuple[str, float], ...]


@dataclass(frozen=True)
class ActionSegment:
    """A stretch in which one class is the likeliest.

    Attributes:
        start: Seconds.
        end: Seconds.
        action: The class.
        probability: Mean over the answers of the stretch.
    """

    start: float
    end: float
    action: str
    probability: float


@dataclass(frozen=True)
class PersonTimeline:
    """What one person does.

    Attributes:
        person: Number, as in the landmarks.
        start: First second with the person.
        end: Last second.
        answers: Of the network, in order.
        segments: Answers of one action put together, in order; they do not overlap.
    """

    person: int
    start: float
    end: float
    answers: tuple[Answer, ...]
    segments: tuple[ActionSegment, ...]

    def at(self, seconds: float) -> ActionSegment | None:
        """The action at a time; None where there is none."""
        for segment in self.segments:
            if segment.start <= seconds < segment.end:
                return segment
        return None


@dataclass(frozen=True)
class Timeline:
    """What everybody in a video does.

    Attributes:
        video: Name of its file.
        seconds: Its length.
        people: A timeline for each person who was there long enough, by number.
        synthetic: The network was trained on clips that a program has made, so that this says
            nothing about people.
    """

    video: str
    seconds: float
    people: tuple[PersonTimeline, ...]
    synthetic: bool = False

    def to_json(self) -> dict[str, Any]:
        """The timeline as plain values."""
        content = asdict(self)
        for person in content["people"]:
            for answer in person["answers"]:
                answer["top"] = [
                    {"class": name, "probability": share} for name, share in answer["top"]
                ]
        return {"format": FORMAT, **content}


def make_timeline(
    network: Network,
    landmarks: Landmarks,
    settings: TimelineSettings | None = None,
    *,
    stream: bool = False,
    on_progress: Callable[[int, int], None] | None = None,
) -> Timeline:
    """Say what everybody in a video does, and when.

    Args:
        network: Predicts classes, of poses in ``ntu25``, ``kinect20`` or ``coco17``.
        landmarks: The people.
        settings: Window and step.
        stream: Show every frame once to a causal network, in place of sliding a window.
        on_progress: Called with people that are done, and all of them.

    Raises:
        NetworkError: The network takes other joints or units, or, with ``stream``, is not causal.
    """
    settings = settings or TimelineSettings()
    check_poses(network)
    recording = to_recording(landmarks, network.spec.layout)
    rate = landmarks.info.frames_per_second
    answer = _stream_answers if stream else _window_answers
    people = []
    for done, (name, track) in enumerate(recording.bodies.items(), start=1):
        answers = tuple(answer(network, track, rate, settings))
        if answers:
            first, last = int(track.frames[0]), int(track.frames[-1]) + 1
            segments = tuple(join_answers(answers))
            people.append(PersonTimeline(int(name), first / rate, last / rate, answers, segments))
        if on_progress:
            on_progress(done, len(recording.bodies))
    seconds = landmarks.info.num_frames / rate
    people.sort(key=lambda person: person.person)
    return Timeline(landmarks.info.video, seconds, tuple(people), network.spec.synthetic)


def join_answers(answers: Sequence[Answer]) -> Iterator[ActionSegment]:
    """Answers of one action put together.

    Where the windows of two answers overlap, each counts up to the middle between their centres.
    """
    centres = [(each.start + each.end) / 2 for each in answers]
    edges = [answers[0].start]
    for number in range(1, len(answers)):
        before, after = answers[number - 1], answers[number]
        apart = after.start >= before.end
        edges.append(after.start if apart else (centres[number - 1] + centres[number]) / 2)
    begun = 0
    for number in range(1, len(answers) + 1):
        if number < len(answers):
            same = answers[number].top[0][0] == answers[begun].top[0][0]
            if same and answers[number].start <= answers[number - 1].end + _TOUCHING:
                continue
        last = answers[number - 1]
        end = min(edges[number], last.end) if number < len(answers) else last.end
        shares = [each.top[0][1] for each in answers[begun:number]]
        yield ActionSegment(edges[begun], end, last.top[0][0], float(np.mean(shares)))
        begun = number


def check_poses(network: Network) -> None:
    """Refuse a network that cannot be shown people of videos.

    Raises:
        NetworkError: It takes other joints or units.
    """
    spec = network.spec
    if spec.layout.name not in MAPPED_LAYOUTS:
        raise NetworkError(
            f"{network.path}: was trained on layout {spec.layout.name}: people in videos can be"
            f" mapped to {', '.join(MAPPED_LAYOUTS)}"
        )
    units = _UNITS[spec.layout.axes == ("x", "y", "z")]
    if spec.inputs.units != units:
        raise NetworkError(
            f"{network.path}: was trained on coordinates that are {spec.inputs.units}, and those of"
            f" videos are {units}"
        )


def _window_answers(
    network: Network, track: BodyTrack, rate: float, settings: TimelineSettings
) -> Iterator[Answer]:
    """The answers for a window that slides along one person."""
    clips: list[Clip] = []
    times: list[tuple[float, float]] = []
    for first, end in _windows(track, rate, settings):
        inside = (track.frames >= first) & (track.frames < end)
        if inside.sum() < settings.presence * (end - first):
            continue
        try:
            clips.append(_clip_of(network, track, inside, first, end))
        except NoBodyError:
            continue
        times.append((first / rate, end / rate))
    if not clips:
        return
    for (start, end_time), made in zip(
        times, network.predict(clips, top=settings.top), strict=True
    ):
        yield Answer(start, end_time, made.top)


def _windows(
    track: BodyTrack, rate: float, settings: TimelineSettings
) -> Iterator[tuple[int, int]]:
    """First frame of each window and the one behind its last; one that is shorter if need be."""
    first, last = int(track.frames[0]), int(track.frames[-1]) + 1
    length = max(1, round(settings.window * rate))
    step = max(1, round(settings.step * rate))
    if last - first <= length:
        if last - first >= settings.presence * length:
            yield first, last
        return
    for start in range(first, last - length + 1, step):
        yield start, start + length


def _clip_of(
    network: Network, track: BodyTrack, inside: Bool[ndarray, " F"], first: int, end: int
) -> Clip:
    """One window of one person, prepared as the network's training clips were."""
    frames = (track.frames[inside] - first).astype(np.int32)
    part = BodyTrack(frames, track.joints[inside])
    raw = RawClip(end - first, {"1": part}, actors_chosen=True)
    return prepare_clip(raw, network.spec, str(network.path), name=f"frames {first} to {end}")


def _stream_answers(
    network: Network, track: BodyTrack, rate: float, settings: TimelineSettings
) -> Iterator[Answer]:
    """What a causal network says while it sees one person, once a step."""
    stream = network.stream()
    step = max(1, round(settings.step * rate))
    first = int(track.frames[0])
    shown = first
    for frame, joints in zip(track.frames.tolist(), track.joints, strict=True):
        said = stream.answer(StreamFrame({"1": joints}, frame / rate), top=settings.top)
        if frame + 1 - shown >= step and said.top:
            yield Answer(shown / rate, (frame + 1) / rate, said.top)
            shown = frame + 1
