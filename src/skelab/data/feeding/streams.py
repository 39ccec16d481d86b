"""The four streams, derived on the fly for whole batches on their device."""

from enum import StrEnum

import torch
from jaxtyping import Float
from torch import Tensor

from skelab.skeleton import Layout


class Stream(StrEnum):
    """Input stream of a network."""

    JOINT = "joint"
    BONE = "bone"
    JOINT_MOTION = "joint-motion"
    BONE_MOTION = "bone-motion"

    @property
    def of_bones(self) -> bool:
        """Whether the stream shows bones instead of joints."""
        return self in (Stream.BONE, Stream.BONE_MOTION)

    @property
    def of_motion(self) -> bool:
        """Whether the stream shows differences between frames."""
        return self in (Stream.JOINT_MOTION, Stream.BONE_MOTION)


def derive_stream(
    joints: Float[Tensor, "N C T V M"], stream: Stream, layout: Layout
) -> Float[Tensor, "N C T V M"]:
    """Derive a stream from joints.

    A bone is a joint minus its parent (the centre's bone is zero); motion is the next frame minus
    this one (the last frame's is zero). Bone-motion is the motion of the bones.

    Source: Shi et al., CVPR 2019 (bones) and arXiv:1912.06971 (motion), as the CTR-GCN feeder
    computes them.
    """
    if stream.of_bones:
        joints = joints - joints[:, :, :, list(layout.parents)]
    if stream.of_motion:
        moved = torch.zeros_like(joints)
        moved[:, :, :-1] = joints[:, :, 1:] - joints[:, :, :-1]
        joints = moved
    return joints
