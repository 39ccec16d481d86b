"""What a preprocessing pipeline is: from a recording to the bodies that a network sees."""

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
    """What a pipeline makes of a recording: M bodies chosen, T frames, no padding.

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
"""The path of a ``.skeleton`` file, or its whole content; None where neither can be had."""


@dataclass(frozen=True)
class Pipeline:
    """A preprocessing by name.

    Attributes:
        name: Short name, as in stores and recipes.
        title: What it does, in a line.
        source: Paper and repository that it reproduces.
        keeps_gaps: Frames of zeros inside a clip are time in which nobody was tracked; they count
            as frames, where the authors' feeder counts frames with values only.
        prepare: The preprocessing itself; raises DataError where a recording has no body.
        prepare_texts: The same for many ``.skeleton`` texts at once, by compiled code that holds
            no lock of the interpreter; gives None for each that ``prepare`` has to decide, and for
            all where nothing was compiled. None where there is no such code.
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
    """Make sure that ``raw`` has a body and that its joints are three-dimensional, of ``layout``.

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
    """The bodies without the all-zero ones at the end; the first always stays."""
    present = len(joints)
    while present > 1 and not joints[present - 1].any():
        present -= 1
    return np.ascontiguousarray(joints[:present])
