"""The interface of preprocessing pipelines: from a recording to the bodies for a network."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float32
from numpy import ndarray

from skelab.data.clips.clip import Clip, RawClip, SampleInfo
from skelab.errors import DataError, NoBodyError
from skelab.skeleton import Layout

ANONYMOUS: Final = SampleInfo("recording")
"""What is known of a recording of which nobody said anything."""

RecordingText = str | bytes | None
"""Path or content of a ``.skeleton`` file; None if neither is available."""


@runtime_checkable
class Prepare(Protocol):
    """A preprocessing: a recording becomes a clip; raises DataError where it has no body."""

    def __call__(self, raw: RawClip, layout: Layout, info: SampleInfo = ANONYMOUS) -> Clip:
        """Choose bodies and frames of a recording of this layout; ``info`` goes to the clip."""
        ...


@runtime_checkable
class PrepareTexts(Protocol):
    """A preprocessing of many ``.skeleton`` texts at once; gives None where it cannot decide."""

    def __call__(
        self, texts: Sequence[RecordingText], layout: Layout, infos: Sequence[SampleInfo]
    ) -> Sequence[Clip | None]:
        """Read and prepare recordings of this layout; ``infos`` go to their clips."""
        ...


@dataclass(frozen=True)
class Pipeline:
    """A preprocessing pipeline.

    Attributes:
        name: Short name, as in stores and recipes.
        title: What it does, in one line.
        source: Paper and repository that it reproduces.
        keeps_gaps: Zero frames inside a clip are time without tracking and count as frames; the
            authors' feeder counts non-zero frames only.
        prepare: The preprocessing itself.
        prepare_texts: The same for many ``.skeleton`` texts at once, in compiled code that releases
            the GIL; returns None for each text that Python has to handle, and for all if nothing
            was compiled. None if there is no such code.
    """

    name: str
    title: str
    source: str
    prepare: Prepare
    keeps_gaps: bool = False
    prepare_texts: PrepareTexts | None = None


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
