"""The four streams against their equations written as loops."""

from itertools import product

import pytest
import torch
from torch import Tensor

from skelab.data.feeding.streams import Stream, derive_stream
from skelab.skeleton import Layout, get_layout

NTU25 = get_layout("ntu25")


def random_joints(layout: Layout, frames: int = 5) -> Tensor:
    torch.manual_seed(0)
    return torch.randn(2, 3, frames, layout.num_joints, 2)


def loops(x: Tensor, stream: Stream, layout: Layout) -> Tensor:
    parent = dict(layout.bones)
    frames = x.shape[2]
    shown = torch.zeros_like(x)
    for t, v in product(range(frames), range(layout.num_joints)):
        if stream in (Stream.JOINT, Stream.JOINT_MOTION):
            shown[:, :, t, v] = x[:, :, t, v]
        elif v in parent:
            shown[:, :, t, v] = x[:, :, t, v] - x[:, :, t, parent[v]]
    if stream in (Stream.JOINT, Stream.BONE):
        return shown
    moved = torch.zeros_like(x)
    for t in range(frames - 1):
        moved[:, :, t] = shown[:, :, t + 1] - shown[:, :, t]
    return moved


@pytest.mark.parametrize("name", ["ntu25", "kinect20", "sbu15"])
@pytest.mark.parametrize("stream", list(Stream))
def test_a_stream_equals_its_equation_written_as_loops(stream: Stream, name: str) -> None:
    layout = get_layout(name)
    joints = random_joints(layout)

    derived = derive_stream(joints, stream, layout)

    assert torch.equal(derived, loops(joints, stream, layout))


def test_joints_that_come_in_are_not_changed() -> None:
    joints = random_joints(NTU25)
    before = joints.clone()

    for stream in Stream:
        derive_stream(joints, stream, NTU25)

    assert torch.equal(joints, before)


@pytest.mark.parametrize("stream", [Stream.JOINT_MOTION, Stream.BONE_MOTION])
def test_one_frame_does_not_move(stream: Stream) -> None:
    derived = derive_stream(random_joints(NTU25, frames=1), stream, NTU25)

    assert not derived.any()


@pytest.mark.parametrize(
    ("stream", "of_bones", "of_motion"),
    [
        (Stream.JOINT, False, False),
        (Stream.BONE, True, False),
        (Stream.JOINT_MOTION, False, True),
        (Stream.BONE_MOTION, True, True),
    ],
)
def test_a_stream_says_what_it_shows(stream: Stream, of_bones: bool, of_motion: bool) -> None:
    assert (stream.of_bones, stream.of_motion) == (of_bones, of_motion)
