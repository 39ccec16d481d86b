"""What holds for every clip that the feeder's transforms meet."""

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_clips import SBU15

from skelab.data.clips.clip import Clip, SampleInfo
from skelab.data.feeding.dataset import pad_clips
from skelab.data.feeding.feeder import Feeder, FeederConfig
from skelab.data.feeding.streams import Stream, derive_stream
from skelab.data.feeding.transforms import Crop, CropResize, RandomRotation

SEEDS = st.integers(0, 2**32 - 1)


def drawn_clip(name: str, frames: int, bodies: int, seed: int) -> Clip:
    joints = np.random.default_rng(seed).normal(size=(bodies, frames, 15, 3)).astype(np.float32)
    return Clip(SampleInfo(name, 0), joints, np.arange(frames, dtype=np.int32))


@given(st.integers(1, 500), st.floats(0.01, 1), st.floats(0.01, 1), SEEDS)
def test_a_drawn_stretch_always_lies_inside_of_the_clip(
    num_frames: int, first: float, second: float, seed: int
) -> None:
    keep = (min(first, second), max(first, second))

    drawn = CropResize(64, keep).sample(num_frames, np.random.default_rng(seed))
    middle = CropResize(64, (first,)).sample(num_frames, np.random.default_rng(seed))

    for start, length in (drawn, middle):
        assert length >= 1
        assert 0 <= start <= num_frames - length


@given(st.integers(1, 40), st.integers(1, 80), SEEDS)
@settings(max_examples=50)
def test_resizing_stays_between_the_lowest_and_the_highest_value(
    frames: int, window: int, seed: int
) -> None:
    clip = torch.from_numpy(drawn_clip("a", frames, 1, seed).joints).permute(1, 0, 2, 3)[None]

    resized = CropResize(window, (1.0,)).apply(clip, [Crop(0, frames)])

    assert resized.shape == (1, window, 1, 15, 3)
    assert resized.min() >= clip.min() - 1e-6
    assert resized.max() <= clip.max() + 1e-6


@given(SEEDS)
@settings(max_examples=50)
def test_turning_keeps_every_distance(seed: int) -> None:
    clip = torch.from_numpy(drawn_clip("a", 3, 2, seed).joints).permute(1, 0, 2, 3)[None].double()
    transform = RandomRotation(3.0)

    turned = transform.apply(clip, [transform.sample(np.random.default_rng(seed))])

    for before, after in ((clip, turned),):
        torch.testing.assert_close(
            torch.cdist(after.reshape(1, -1, 3), after.reshape(1, -1, 3)),
            torch.cdist(before.reshape(1, -1, 3), before.reshape(1, -1, 3)),
        )


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
