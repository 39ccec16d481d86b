"""The interface of preprocessing pipelines: from a recording to the bodies for a network."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Int32
from numpy import ndarray

from skelab.data.clips.clip import RawClip
from skelab.errors import DataError, NoBodyError
from skelab.skeleton import Layout


@dataclass(frozen=True)
class Prepared:
    """The result of a pipeline: M chosen bodies, T frames, no padding.

    Attributes:
        joints: Present bodies only (at least one), most prominent first; zeros where a body is
            absent for a time. Units of the recording.
        frame_numbers: Number (from 0) of each frame in the recording.

    Raises:
        DataError: No body or no frame is left.
    """

    joints: Float32[ndarray, "M T V C"]
    frame_numbers: Int32[ndarray, " T"]

    def __post_init__(self) -> None:
        """Check that there is a body and a frame."""
        bodies, frames = self.joints.shape[:2]
        if bodies < 1 or frames < 1:
            raise DataError("expected at least one body in one frame, found none")


RecordingText = str | bytes | None
"""Path or content of a ``.skeleton`` file; None if neither is available."""


@dataclass(frozen=True)
class Pipeline:
    """A preprocessing pipeline.

    Attributes:
        name: Short name, as in stores and recipes.
        title: What it does, in one line.
        source: Paper and repository that it reproduces.
        keeps_gaps: Zero frames inside a clip are time without tracking and count as frames; the
            authors' feeder counts non-zero frames only.
        prepare: The preprocessing itself; raises DataError where a recording has no body.
        prepare_texts: The same for many ``.skeleton`` texts at once, in compiled code that releases
            the GIL; returns None for each text that Python has to handle, and for all if nothing
            was compiled. None if there is no such code.
    """

    name: str
    title: str
    source: str
    prepare: Callable[[RawClip, Layout], Prepared]
    keeps_gaps: bool = False
    prepare_texts: Callable[[Sequence[RecordingText], Layout], Sequence[Prepared | None]] | None = (
        None
    )


def check_recording(raw: RawClip, layout: Layout) -> None:
    """Check that ``raw`` has a body, and 3-D joints of ``layout``.

    Raises:
        NoBodyError: No frame has a body.
        DataError: The joints are not those of the layout.
    """
    if not any(len(track.frames) for track in raw.bodies.values()):
        raise NoBodyError(
            f"expected a body in at least one frame, found none in {raw.num_frames} frames;"
            " recordings without a body are left out"
        )
    for body, track in raw.bodies.items():
        found = track.joints.shape[1:]
        if found != (layout.num_joints, 3):
            raise DataError(
                f"body {body}: expected {layout.num_joints} joints of {layout.name} with 3"
                f" coordinates, found {found[0]} joints with {found[1]}"
            )


def drop_absent_bodies(
    joints: Float32[ndarray, "M T V C"],
) -> Float32[ndarray, "K T V C"]:
    """Drop all-zero bodies at the end; the first body is always kept."""
    present = len(joints)
    while present > 1 and not joints[present - 1].any():
        present -= 1
    return np.ascontiguousarray(joints[:present])
