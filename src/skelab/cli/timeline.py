"""How `skelab predict NETWORK VIDEO` looks at a video and prints a timeline."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from skelab.cli import videos
from skelab.cli.output import print_json, print_table, progress, result, say
from skelab.errors import SourceError

if TYPE_CHECKING:
    from skelab.inference import Network
    from skelab.inference.timeline import Timeline
    from skelab.pose.extract import Extraction


class VideoQuestion(NamedTuple):
    """What a command asks about a video.

    Attributes:
        mirrored: Whether it shows left on the right; None where nobody said.
        pose_model: Size of the pose model.
        window: Seconds that the network sees at once.
        step: Seconds from one answer to the next.
        top: Classes of each answer.
        stream: Show every frame once, to a causal network.
        out: Film to write.
        force: Replace a film that is there.
    """

    mirrored: bool | None
    pose_model: str
    window: float
    step: float
    top: int
    stream: bool
    out: Path | None
    force: bool


class _Times(NamedTuple):
    """Seconds of the clock that parts of the work took."""

    poses: float
    network: float
    film: float


def is_film(path: Path) -> bool:
    """Whether a file is called as a video is."""
    from skelab.host.video import VIDEO_SUFFIXES

    return path.suffix.lower() in VIDEO_SUFFIXES and not path.is_dir()


def predict_video(
    model: Path,
    files: Sequence[Path],
    question: VideoQuestion,
    *,
    engine: str | None,
    trust: bool,
    as_json: bool,
) -> None:
    """Print what everybody in a video does, and when.

    Raises:
        SourceError: There are several files, or nobody said whether the video is mirrored.
        VideoError: It cannot be decoded.
        NetworkError: The network takes other joints.
    """
    from skelab.files.kinds import MP4
    from skelab.files.output import check_output
    from skelab.host.video import container_of
    from skelab.inference.places import check_network

    check_network(model)
    if len(files) != 1:
        raise SourceError(f"expected one video, found {len(files)} files")
    video = files[0]
    container_of(video)
    mirrored = videos.ask_mirrored(video, question.mirrored)
    if question.out is not None:
        check_output(question.out, MP4, inputs=[video], force=question.force)

    from skelab.inference import FASTEST, open_network
    from skelab.inference.gap import warn_of_gap
    from skelab.inference.timeline import TimelineSettings, check_poses, make_timeline

    settings = TimelineSettings(question.window, question.step, top=question.top)
    network = open_network(
        model, engine=engine or (None if question.stream else FASTEST), trust=trust
    )
    check_poses(network)
    if question.stream:
        network.stream()  # refused before any video is decoded
    for line in warn_of_gap(network):
        say(line)
    made = _look(video, question.pose_model, mirrored=mirrored)
    began = time.perf_counter()
    timeline = make_timeline(network, made.landmarks, settings, stream=question.stream)
    answered = time.perf_counter()
    if question.out is not None:
        from skelab.viewer.overlay import write_overlay

        write_overlay(question.out, video, made.landmarks, timeline)
    times = _Times(made.seconds, answered - began, time.perf_counter() - answered)
    if as_json:
        print_json(_as_json(timeline, network, made, times, question))
    else:
        _print(timeline, network, made, times, question)


def _look(video: Path, pose_model: str, *, mirrored: bool) -> "Extraction":
    from skelab.pose.extract import PoseSettings, extract_landmarks

    estimator = videos.open_estimator(pose_model)
    with progress("looking for people", "pictures") as bar:
        return extract_landmarks(video, estimator, PoseSettings(mirrored=mirrored), bar)


def _as_json(
    timeline: "Timeline",
    network: "Network",
    made: "Extraction",
    times: _Times,
    question: VideoQuestion,
) -> dict[str, Any]:
    from skelab.inference.gap import warn_of_gap
    from skelab.inference.poses import kind_of_poses

    info = made.landmarks.info
    return {
        **timeline.to_json(),
        "model": network.spec.model.name,
        "engine": network.engine,
        "trained on poses": kind_of_poses(network.spec),
        "warnings": list(warn_of_gap(network)),
        "mirrored": info.mirrored,
        "pose model": info.estimator,
        "frames": info.num_frames,
        "frames_per_second": {
            "poses": made.frames_per_second,
            "poses and network": info.num_frames / (times.poses + times.network),
        },
        "took": times._asdict(),
        "film": str(question.out) if question.out else None,
    }


def _print(
    timeline: "Timeline",
    network: "Network",
    made: "Extraction",
    times: _Times,
    question: VideoQuestion,
) -> None:
    rows = [
        [
            str(person.person) if first else "",
            f"{segment.start:.1f}",
            f"{segment.end:.1f}",
            segment.action,
            f"{segment.probability:.0%}",
        ]
        for person in timeline.people
        for first, segment in _marked(person.segments)
    ]
    synthetic = ", trained on SYNTHETIC clips" if timeline.synthetic else ""
    print_table(
        ["person", "from (s)", "to (s)", "action", "probability"],
        rows,
        title=f"{timeline.video}, {timeline.seconds:.1f} s, {network.spec.title}{synthetic}",
        right="person,from (s),to (s),probability",
    )
    if not rows:
        found = len(made.landmarks.body_numbers())
        result(f"nobody is there for long enough; {found} people were seen")
    info = made.landmarks.info
    rate = info.num_frames / (times.poses + times.network)
    result(
        f"{info.num_frames:,} pictures, {rate:.1f} a second from video to action"
        f" ({made.frames_per_second:.1f} for the poses, {info.estimator})"
    )
    if question.out:
        result(f"film {question.out}")


def _marked(segments: "Sequence[Any]") -> list[tuple[bool, Any]]:
    """Segments, and whether each is the first."""
    return [(number == 0, segment) for number, segment in enumerate(segments)]
