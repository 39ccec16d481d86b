"""What holds for every clip that the feeder's transforms meet."""

import numpy as np
import torch
from feeding_kit import batch_of, facts_of
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_clips import SBU15
from torch import Tensor

from skelab.data.clips.clip import Clip, SampleInfo
from skelab.data.feeding.batch import Batch
from skelab.data.feeding.dataset import pad_clips
from skelab.data.feeding.feeder import Feeder, FeederConfig
from skelab.data.feeding.streams import Stream, derive_stream
from skelab.data.feeding.transforms import (
    TRANSFORM_SETTINGS,
    Crop,
    CropResize,
    DropJoints,
    MaskTime,
    Mirror,
    Mix,
    RandomRotation,
    ReverseTime,
    Scale,
    Shear,
)

SEEDS = st.integers(0, 2**32 - 1)


def drawn_clip(name: str, frames: int, bodies: int, seed: int) -> Clip:
    joints = np.random.default_rng(seed).normal(size=(bodies, frames, 15, 3)).astype(np.float32)
    return Clip(SampleInfo(name, 0), joints, np.arange(frames, dtype=np.int32))


@given(st.integers(1, 500), st.floats(0.01, 1), st.floats(0.01, 1), SEEDS)
def test_a_drawn_stretch_always_lies_inside_of_the_clip(
    num_frames: int, first: float, second: float, seed: int
) -> None:
    keep = (min(first, second), max(first, second))

    drawn = CropResize(64, keep).sample(facts_of(num_frames), np.random.default_rng(seed))
    middle = CropResize(64, (first,)).sample(facts_of(num_frames), np.random.default_rng(seed))

    for start, length in (drawn, middle):
        assert length >= 1
        assert 0 <= start <= num_frames - length


@given(st.integers(1, 40), st.integers(1, 80), SEEDS)
@settings(max_examples=50)
def test_resizing_stays_between_the_lowest_and_the_highest_value(
    frames: int, window: int, seed: int
) -> None:
    clip = torch.from_numpy(drawn_clip("a", frames, 1, seed).joints).permute(3, 1, 2, 0)[None]

    resized = CropResize(window, (1.0,)).apply(batch_of(clip), [Crop(0, frames)]).joints

    assert resized.shape == (1, 3, window, 15, 1)
    assert resized.min() >= clip.min() - 1e-6
    assert resized.max() <= clip.max() + 1e-6


@given(SEEDS)
@settings(max_examples=50)
def test_turning_keeps_every_distance(seed: int) -> None:
    clip = torch.from_numpy(drawn_clip("a", 3, 2, seed).joints).permute(3, 1, 2, 0)[None].double()
    transform = RandomRotation(3.0)
    angles = transform.sample(facts_of(3), np.random.default_rng(seed))

    turned = transform.apply(batch_of(clip), [angles]).joints

    before, after = (joints.flatten(2).transpose(1, 2) for joints in (clip, turned))
    torch.testing.assert_close(torch.cdist(after, after), torch.cdist(before, before))


@given(SEEDS, st.sampled_from(list(Stream)))
@settings(max_examples=40)
def test_streams_do_not_see_where_somebody_stands_unless_they_show_joints(
    seed: int, stream: Stream
) -> None:
    joints = torch.from_numpy(drawn_clip("a", 6, 1, seed).joints).double().permute(3, 1, 2, 0)[None]
    moved = joints + torch.tensor([1.0, -2.0, 3.0], dtype=torch.float64)[None, :, None, None, None]

    here, there = (derive_stream(which, stream, SBU15) for which in (joints, moved))

    assert torch.allclose(here, there) == (stream is not Stream.JOINT)


@given(
    st.lists(st.tuples(st.integers(1, 90), st.integers(1, 2)), min_size=1, max_size=4),
    SEEDS,
    st.integers(0, 100),
)
@settings(max_examples=30)
def test_a_clip_is_shaped_alike_in_any_company(
    sizes: list[tuple[int, int]], seed: int, epoch: int
) -> None:
    feeder = Feeder(FeederConfig(window=16), SBU15)
    items = [
        (row, drawn_clip(str(row), frames, bodies, seed + row))
        for row, (frames, bodies) in enumerate(sizes)
    ]

    together = feeder.training_batch(pad_clips(items, 2), seed=seed, epoch=epoch).joints
    alone = [
        feeder.training_batch(pad_clips([item], 2), seed=seed, epoch=epoch).joints[0]
        for item in items
    ]

    torch.testing.assert_close(together, torch.stack(alone), rtol=0, atol=0)


def drawn_batch(seed: int, frames: int = 6) -> Batch:
    """Two clips of two bodies, in double precision."""
    clips = [drawn_clip("a", frames, 2, seed + number).joints for number in (0, 1)]
    return batch_of(torch.from_numpy(np.stack(clips)).permute(0, 4, 2, 3, 1).double())


@given(SEEDS)
@settings(max_examples=50)
def test_mirroring_twice_gives_the_clip_back_and_keeps_every_bone_length(seed: int) -> None:
    clips, mirror = drawn_batch(seed), Mirror(SBU15)

    once = mirror.apply(clips, [True, True])
    twice = mirror.apply(once, [True, True])

    def lengths(batch: Batch) -> Tensor:
        bones = derive_stream(batch.joints, Stream.BONE, SBU15)
        return (bones**2).sum(dim=1)

    assert torch.equal(twice.joints, clips.joints)
    torch.testing.assert_close(lengths(once)[:, :, list(SBU15.mirror)], lengths(clips))


@given(SEEDS)
@settings(max_examples=50)
def test_reversing_twice_gives_the_clip_back_and_negates_its_motion(seed: int) -> None:
    clips, reverse = drawn_batch(seed), ReverseTime()

    once = reverse.apply(clips, [True, True])
    twice = reverse.apply(once, [True, True])

    assert torch.equal(twice.joints, clips.joints)
    moved, back = (
        derive_stream(batch.joints, Stream.JOINT_MOTION, SBU15)[:, :, :-1]
        for batch in (clips, once)
    )
    assert torch.equal(back, -moved.flip(2))


@given(SEEDS, st.floats(0.01, 0.9), st.booleans())
@settings(max_examples=50)
def test_scaling_by_one_factor_keeps_every_direction_and_scales_every_distance(
    seed: int, limit: float, per_axis: bool
) -> None:
    clips, rng = drawn_batch(seed), np.random.default_rng(seed)
    scale = Scale(SBU15, limit, per_axis=per_axis)

    drawn = [scale.sample(facts_of(6), rng) for _ in range(2)]
    scaled = scale.apply(clips, drawn).joints

    for before, after, factors in zip(clips.joints, scaled, drawn, strict=True):
        assert factors is not None
        assert all(1 - limit <= factor <= 1 + limit for factor in factors)
        torch.testing.assert_close(
            after / before, torch.tensor(factors).double()[:, None, None, None].expand_as(before)
        )


@given(SEEDS, st.floats(0.01, 1.0))
@settings(max_examples=50)
def test_shearing_is_linear_and_keeps_the_origin(seed: int, limit: float) -> None:
    rng, shear = np.random.default_rng(seed), Shear(limit)
    clips, others = drawn_batch(seed), drawn_batch(seed + 2)
    drawn = [shear.sample(facts_of(6), rng) for _ in range(2)]

    def sheared(joints: Tensor) -> Tensor:
        return shear.apply(batch_of(joints), drawn).joints

    torch.testing.assert_close(
        sheared(2 * clips.joints - others.joints),
        2 * sheared(clips.joints) - sheared(others.joints),
    )
    assert not sheared(torch.zeros_like(clips.joints)).any()


@given(SEEDS, st.floats(0.01, 0.99), st.floats(0.01, 1), st.floats(0.01, 1), st.booleans())
@settings(max_examples=50)
def test_what_is_hidden_is_zeros_or_still_and_the_rest_is_untouched(
    seed: int, limit: float, first: float, second: float, freeze: bool
) -> None:
    clips, rng = drawn_batch(seed, frames=16), np.random.default_rng(seed)
    share = (min(first, second), max(first, second))
    facts = facts_of(16, window=16)
    drop, mask = DropJoints(limit, share, 1.0), MaskTime(share, freeze, 1.0)

    dropped_joints, stretch = drop.sample(facts, rng), mask.sample(facts, rng)
    dropped = drop.apply(clips, [dropped_joints, None]).joints
    masked = mask.apply(clips, [stretch, None]).joints

    assert dropped_joints is not None
    assert stretch is not None
    zeros = (dropped[0] == 0).all(dim=3).all(dim=0)  # T V
    assert int(zeros.sum()) == len(dropped_joints.joints) * dropped_joints.length
    assert torch.equal(dropped[0] * ~zeros[:, :, None], clips.joints[0] * ~zeros[:, :, None])
    inside = masked[0, :, stretch.start : stretch.start + stretch.length]
    assert torch.equal(inside, (clips.joints[0, :, [stretch.start]] * freeze).expand_as(inside))
    changed = (masked[0] != clips.joints[0]).any(dim=3).any(dim=2).any(dim=0)  # T
    assert int(changed.sum()) <= stretch.length
    for done in (dropped, masked):
        assert torch.equal(done[1], clips.joints[1])


@given(SEEDS, st.floats(0.05, 5))
@settings(max_examples=50)
def test_mixing_stays_between_both_clips_and_its_targets_sum_to_one(
    seed: int, alpha: float
) -> None:
    clips, mix = drawn_batch(seed), Mix(alpha)
    rng = np.random.default_rng(seed)
    drawn = [mix.sample(facts_of(6, row=row, company=(0, 1)), rng) for row in (0, 1)]

    done = mix.apply(clips, drawn)

    low, high = clips.joints.amin(dim=0), clips.joints.amax(dim=0)
    assert ((done.joints >= low - 1e-12) & (done.joints <= high + 1e-12)).all()
    assert done.mixed is not None
    assert done.mixed.labels.tolist() == [1, 0]
    assert ((done.mixed.weights >= 0) & (done.mixed.weights <= 0.5)).all()


@given(SEEDS, st.integers(0, 100), st.permutations(range(4)))
@settings(max_examples=20)
def test_every_listed_transform_draws_alike_for_a_clip_in_any_company(
    seed: int, epoch: int, order: list[int]
) -> None:
    names = sorted(set(TRANSFORM_SETTINGS) - {"mix"})
    config = FeederConfig.model_validate({"window": 8, "rotation": 0, "transforms": names})
    feeder = Feeder(config, SBU15)
    items = [(row, drawn_clip(str(row), 9 + row, 1, seed + row)) for row in order]

    together = feeder.training_batch(pad_clips(items, 2), seed=seed, epoch=epoch).joints
    alone = [
        feeder.training_batch(pad_clips([item], 2), seed=seed, epoch=epoch).joints[0]
        for item in items
    ]

    torch.testing.assert_close(together, torch.stack(alone), rtol=0, atol=0)
