"""Attention in partitions against one attention over all tokens with everything else masked."""

import pytest
import torch
from module_kit import randomised

from skelab.nn.partition_attention import (
    SPAN,
    DropPath,
    PartitionAttention,
    PartitionTransformerBlock,
)

FRAMES, JOINTS, HEADS, WIDTH = 16, 16, 4, 2


def partition(near: bool, index: int, size: int, length: int) -> tuple[int, int]:
    """The partition of a frame or a joint, and its place in it."""
    if near:
        return divmod(index, size)
    place, group = divmod(index, length // size)
    return group, place


@pytest.mark.parametrize("bias_by_joint", [True, False])
@pytest.mark.parametrize("near_joints", [True, False])
@pytest.mark.parametrize("near_frames", [True, False])
def test_tokens_gather_from_their_partition_alone(
    near_frames: bool, near_joints: bool, bias_by_joint: bool
) -> None:
    size = 8 if near_joints else 4
    attention = randomised(
        PartitionAttention(
            joints=size,
            num_heads=HEADS,
            near_frames=near_frames,
            near_joints=near_joints,
            bias_by_joint=bias_by_joint,
            scale_by_heads=True,
        )
    )
    number = torch.arange(SPAN)
    attention.relative_frames.copy_(number[:, None] - number + SPAN - 1)
    x = torch.randn(1, FRAMES, JOINTS, 3 * HEADS * WIDTH, dtype=torch.float64)

    found = attention(x)[0]

    query, key, value = x[0].reshape(FRAMES, JOINTS, 3, HEADS, WIDTH).unbind(dim=2)
    for frame, joint in ((0, 0), (5, 9), (11, 14)):
        group, place = partition(near_frames, frame, SPAN, FRAMES)
        joint_group, joint_place = partition(near_joints, joint, size, JOINTS)
        for head in range(HEADS):
            scores, values = [], []
            for t in range(FRAMES):
                for v in range(JOINTS):
                    other, at = partition(near_frames, t, SPAN, FRAMES)
                    other_joints, at_joint = partition(near_joints, v, size, JOINTS)
                    if (other, other_joints) != (group, joint_group):
                        continue
                    if not near_joints:
                        bias = attention.bias[place - at + 7, joint_place, at_joint, head]
                    elif bias_by_joint:
                        bias = attention.bias[joint_place - at_joint + 7, head]
                    else:
                        bias = attention.bias[place - at + 7, head]
                    product = query[frame, joint, head] @ key[t, v, head]
                    scores.append(product / HEADS**0.5 + bias)
                    values.append(value[t, v, head])
            weights = torch.stack(scores).softmax(dim=0)
            expected = weights @ torch.stack(values)
            channels = slice(head * WIDTH, (head + 1) * WIDTH)
            torch.testing.assert_close(found[frame, joint, channels], expected)


def test_scores_are_divided_by_the_channels_of_a_head_unless_told_otherwise() -> None:
    plain = randomised(PartitionAttention(joints=8, near_frames=True, near_joints=True))
    number = torch.arange(SPAN)
    plain.relative_frames.copy_(number[:, None] - number + SPAN - 1)
    x = torch.randn(1, 8, 8, 3 * 4 * 9, dtype=torch.float64)  # four heads of nine channels

    by_channels = plain(x)
    plain.scale_by_heads = True
    x[..., : 4 * 9] *= 4**0.5 / 9**0.5  # the queries

    torch.testing.assert_close(plain(x), by_channels)


@pytest.mark.parametrize("num_slots", [12, 16])
def test_a_block_takes_any_number_of_joints_in_fours(num_slots: int) -> None:
    block = PartitionTransformerBlock(32, num_slots=num_slots)
    x = torch.randn(2, 32, 8, num_slots)

    assert block(x).shape == x.shape


def test_dropping_a_path_drops_whole_clips_and_keeps_the_mean() -> None:
    torch.manual_seed(0)
    drop = DropPath(0.25)
    x = torch.ones(4000, 2, 3)

    kept = drop(x)

    per_clip = kept.flatten(1)
    assert torch.equal(per_clip.amin(dim=1), per_clip.amax(dim=1))
    assert per_clip[:, 0].unique().tolist() == pytest.approx([0.0, 4 / 3])
    assert kept.mean().item() == pytest.approx(1.0, abs=0.05)
    assert torch.equal(drop.eval()(x), x)
