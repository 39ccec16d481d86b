"""The four streams, derived on the fly for whole batches on their device."""

import torch
from jaxtyping import Float
from torch import Tensor

from skelab.data.feeding.config import Stream
from skelab.skeleton import Layout

__all__ = ["Stream", "derive_stream"]


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
