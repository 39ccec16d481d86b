"""A recording as it was tracked, and a clip that is ready for a network."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float, Float32, Float64, Int8, Int32
from numpy import ndarray

from skelab.errors import DataError


@dataclass(frozen=True)
class BodyTrack:
    """One tracked body: its joints, and their frames.

    Attributes:
        frames: Frame number of each of the F entries, from 0; non-decreasing.
        joints: Coordinates as recorded, metres for Kinect sources.
        tracking: 2 tracked, 1 inferred, 0 not tracked; None if unknown.
        slots: Position of the body in the body list of its frame, from 0.
    """

    frames: Int32[ndarray, " F"]
    joints: Float64[ndarray, "F V C"]
    tracking: Int8[ndarray, "F V"] | None = None
    slots: Int8[ndarray, " F"] | None = None

    def __post_init__(self) -> None:
        """Check that every entry has its frame."""
        if len(self.frames) != len(self.joints):
            raise DataError(
                f"a body of {len(self.joints)} poses has {len(self.frames)} frame numbers"
            )


@dataclass(frozen=True)
class RawClip:
    """A recording as it was tracked, without any preprocessing.

    Attributes:
        num_frames: Frames of the recording, including those without a body.
        bodies: Tracks by body id, in order of first appearance.
        actors_chosen: The data set provides chosen bodies, which no pipeline may drop or merge.
    """

    num_frames: int
    bodies: Mapping[str, BodyTrack]
    actors_chosen: bool = False


@dataclass(frozen=True)
class SampleInfo:
    """Metadata of a sample. Numbers are those of the data set, from 1.

    Attributes:
        name: Unique name, the key for joining scores and features.
        label: Class index from 0; None where unknown.
        subject: Performer.
        camera: Camera, or view.
        setup: Setup of the recording.
        replication: Take, repetition or episode.
        parts: Parts of the source's own splits with this sample, say ``train`` or ``xsub_val``.
        script: Script that the performer followed: a fixed order of actions.
        untrimmed: The sample is a sequence: it has segments, and ``label`` is None.
    """

    name: str
    label: int | None = None
    subject: int | None = None
    camera: int | None = None
    setup: int | None = None
    replication: int | None = None
    parts: tuple[str, ...] = ()
    script: int | None = None
    untrimmed: bool = False


@dataclass(frozen=True)
class Clip:
    """A sample ready for a network: bodies chosen, float32, no padding.

    Attributes:
        info: Metadata of the sample.
        joints: Present bodies only (at least one), most prominent first; zeros where a body is
            absent for a time. Metres, unless the source is normalised.
        frame_numbers: Number of each frame in the recording.
    """

    info: SampleInfo
    joints: Float32[ndarray, "M T V C"]
    frame_numbers: Int32[ndarray, " T"] = field(repr=False)

    def __post_init__(self) -> None:
        """Check the shapes."""
        bodies, frames = self.joints.shape[:2]
        if bodies < 1 or frames < 1:
            raise DataError(f"{self.info.name}: a clip needs a body and a frame, found none")
        if len(self.frame_numbers) != frames:
            raise DataError(
                f"{self.info.name}: {frames} frames but {len(self.frame_numbers)} frame numbers"
            )

    @property
    def num_bodies(self) -> int:
        """Present bodies, M."""
        return int(self.joints.shape[0])

    @property
    def num_frames(self) -> int:
        """Frames, T."""
        return int(self.joints.shape[1])

    def valid_frames(self) -> int:
        """Number of frames whose values do not sum to zero, as CTR-GCN's feeder counts them."""
        bodies, frames = self.joints.shape[:2]
        joints = self.joints if bodies == 1 else self.joints.swapaxes(0, 1)
        per_frame = joints.reshape(frames, -1)
        return int(np.count_nonzero(np.add.reduce(per_frame, axis=1)))


def joints_digest(*bodies: Float[ndarray, " ..."]) -> bytes:
    """A 16-byte digest of some arrays of joints, by which duplicates are found.

    It is not the digest that a store keeps of a clip.
    """
    digest = hashlib.blake2b(digest_size=16)
    for joints in bodies:
        digest.update(repr(joints.shape).encode() + np.ascontiguousarray(joints).tobytes())
    return digest.digest()
