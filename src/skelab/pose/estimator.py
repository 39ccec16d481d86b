"""What a pose estimator is asked: who is in a picture, and where are the joints of one of them."""

from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from jaxtyping import Float32, UInt8
from numpy import ndarray

from skelab.pose.regions import Detection, Region


@dataclass(frozen=True)
class EstimatedPose:
    """The landmarks of one person in one picture.

    Attributes:
        picture: x, y in pixels of the picture, and z in the same unit, smaller towards the camera.
        world: x to the right, y downwards, z away from the camera, metres from the middle of the
            hips.
        visibility: How likely each landmark is in the picture and not hidden; 0..1.
        score: How likely it is a person at all; 0..1.
        region: Where the person will be looked for in the next picture.
    """

    picture: Float32[ndarray, "L 3"] = field(repr=False)
    world: Float32[ndarray, "L 3"] = field(repr=False)
    visibility: Float32[ndarray, " L"] = field(repr=False)
    score: float
    region: Region


@runtime_checkable
class PoseEstimator(Protocol):
    """Finds people in a picture, and the landmarks of one person."""

    @property
    def name(self) -> str:
        """What it is called, say ``blazepose-full``."""

    @property
    def digest(self) -> str:
        """sha256 of what estimates the landmarks."""

    def detect(self, picture: UInt8[ndarray, "H W 3"]) -> list[Detection]:
        """Everybody who is seen, the surest first."""

    def locate(self, picture: UInt8[ndarray, "H W 3"], region: Region) -> EstimatedPose:
        """The landmarks of the person in a region; of whatever is there if it is nobody."""
