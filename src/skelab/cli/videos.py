"""How commands open videos: the question of the mirror, the pose model, the progress."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from skelab.cli.output import progress, say
from skelab.errors import SourceError

if TYPE_CHECKING:
    from skelab.pose.estimator import PoseEstimator
    from skelab.pose.source import LandmarkSource

Mirrored = Annotated[
    bool | None,
    typer.Option(
        "--mirrored/--not-mirrored",
        help="Whether videos show left on the right, as a mirror and NTU's colour videos do.",
        show_default=False,
    ),
]
PoseModel = Annotated[
    str, typer.Option("--pose-model", help="Pose model for videos: full, lite or heavy.")
]


def is_of_videos(path: Path) -> bool:
    """Whether a path holds videos, or the landmarks that were found in some.

    A data set that has videos beside its recordings is not one of videos.
    """
    from skelab.data.datasets import holds_recordings
    from skelab.data.opened import holds_clips
    from skelab.pose.source import holds_landmarks, holds_videos

    if holds_clips(path) or (path.is_dir() and holds_recordings(path)):
        return False
    return holds_videos(path) or holds_landmarks(path)


def ask_mirrored(source: Path, mirrored: bool | None) -> bool:
    """The answer to the question; it cannot be seen in a picture, so nobody guesses it.

    Raises:
        SourceError: There is none.
    """
    if mirrored is None:
        raise SourceError(
            f"{source}: are these videos mirrored? Selfie cameras and NTU RGB+D's colour videos"
            " are, other cameras are not: expected --mirrored or --not-mirrored"
        )
    return mirrored


def open_estimator(variant: str) -> "PoseEstimator":
    """The pose estimator of a command."""
    from skelab.pose.blazepose import BlazePose
    from skelab.pose.model_files import load_pose_models

    return BlazePose(load_pose_models(variant))


def open_videos(
    source: Path,
    store: Path,
    layout: str | None,
    mirrored: bool | None,
    pose_model: str,
    *,
    strict: bool,
    force: bool,
) -> "LandmarkSource":
    """The people in videos as a source; what is found is kept beside the store."""
    from skelab.files.kinds import STORE
    from skelab.files.output import check_output
    from skelab.pose.extract import PoseSettings
    from skelab.pose.source import LandmarkSource, holds_videos
    from skelab.pose.videos import extract_videos, landmark_folder
    from skelab.skeleton import get_layout

    if not holds_videos(source):
        if mirrored is not None:
            raise SourceError(
                f"{source}: its landmarks say already whether their videos are mirrored: expected"
                " no --mirrored"
            )
        return LandmarkSource(source, get_layout(layout) if layout else None)
    answer = ask_mirrored(source, mirrored)
    check_output(store, STORE, inputs=[source], force=force)
    folder = landmark_folder(store)
    estimator = open_estimator(pose_model)
    with progress("looking at videos") as bar:
        made = extract_videos(
            source,
            folder,
            estimator,
            PoseSettings(mirrored=answer),
            layout=layout,
            strict=strict or source.is_file(),
            on_progress=lambda _, done, total: bar(done, total),
        )
    if made.kept:
        say(f"{made.kept:,} videos were looked at before")
    if made.frames:
        rate = made.frames / max(made.seconds, 1e-9)
        say(f"{made.frames:,} pictures of {made.done:,} videos, {rate:.1f} a second; {folder}")
    return made.source
