"""The feeder: what training draws, what evaluation does not, and that company does not matter."""

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from tiny_clips import SBU15, tiny_clip

from skelab.data.clips.clip import Clip, SampleInfo
from skelab.data.feeding import feeder as feeder_module
from skelab.data.feeding.chance import EpochChance
from skelab.data.feeding.dataset import PaddedClips, pad_clips
from skelab.data.feeding.feeder import Feeder, FeederConfig
from skelab.data.feeding.streams import Stream, derive_stream
from skelab.data.feeding.transforms import Crop, CropResize, Fill, PickFrames, RandomRotation
from skelab.errors import DataError
from skelab.skeleton import get_layout


def long_clip(row: int, frames: int = 150) -> Clip:
    joints = np.random.default_rng(row).normal(size=(1, frames, 15, 3)).astype(np.float32)
    return Clip(SampleInfo(f"long{row}", row % 3), joints, np.arange(frames, dtype=np.int32))


def padded(*rows: int) -> PaddedClips:
    return pad_clips([(row, long_clip(row, 100 + 7 * row)) for row in rows], max_bodies=2)


@pytest.mark.parametrize("stream", list(Stream))
def test_a_training_batch_equals_its_steps_one_clip_after_the_other(stream: Stream) -> None:
    config = FeederConfig(stream=stream, window=16, train_crop=(0.3, 0.9), rotation=0.2)
    clips = padded(4, 0, 2)

    batch = Feeder(config, SBU15).training_batch(clips, seed=5, epoch=7)

    for place, row in enumerate((4, 0, 2)):
        (rng,) = EpochChance().of_clips(seed=5, epoch=7, rows=[row])
        single = padded(row).joints
        crop, turn = CropResize(16, (0.3, 0.9)), RandomRotation(0.2)
        joints = crop.apply(single, [crop.sample(100 + 7 * row, rng)])
        joints = turn.apply(joints, [turn.sample(rng)])
        expected = derive_stream(joints.permute(0, 4, 1, 3, 2), stream, SBU15)
        torch.testing.assert_close(batch.joints[place], expected[0])
    assert batch.joints.shape == (3, 3, 16, 15, 2)
    assert batch.labels.tolist() == [1, 0, 2]
    assert batch.rows == (4, 0, 2)


def test_clips_turn_about_the_vertical_axis_alone_where_only_that_is_asked_for() -> None:
    still = FeederConfig(window=16, train_crop=(1.0, 1.0), rotation=0)
    clips = padded(4, 0, 2)

    before = Feeder(still, SBU15).training_batch(clips, seed=5, epoch=7).joints
    turning = still.model_copy(update={"yaw": 1.0})
    turned = Feeder(turning, SBU15).training_batch(clips, seed=5, epoch=7).joints

    torch.testing.assert_close(turned[:, 1], before[:, 1])  # heights
    for axis in (0, 2):
        assert not torch.allclose(turned[:, axis], before[:, axis])
    torch.testing.assert_close(turned.norm(dim=1), before.norm(dim=1))


@pytest.mark.parametrize("stream", list(Stream))
def test_compiled_code_and_torch_give_the_same_batches(
    stream: Stream, monkeypatch: pytest.MonkeyPatch
) -> None:
    feeder, clips = Feeder(FeederConfig(stream=stream, window=16), SBU15), padded(4, 0, 2)
    compiled = feeder.training_batch(clips, seed=5, epoch=7), feeder.evaluation_batch(clips)

    monkeypatch.setattr(feeder_module, "can_resample", lambda: False)
    by_torch = feeder.training_batch(clips, seed=5, epoch=7), feeder.evaluation_batch(clips)

    for ours, theirs in zip(compiled, by_torch, strict=True):
        assert torch.equal(ours.joints, theirs.joints)
        assert ours.joints.is_contiguous()
        assert theirs.joints.is_contiguous()


def test_a_clip_gets_the_same_augmentation_whatever_batch_it_is_in() -> None:
    feeder = Feeder(FeederConfig(window=16), SBU15)

    alone = feeder.training_batch(padded(3), seed=1, epoch=2).joints[0]
    last = feeder.training_batch(padded(0, 1, 3), seed=1, epoch=2).joints[2]
    first = feeder.training_batch(padded(3, 2), seed=1, epoch=2).joints[0]

    assert torch.equal(alone, last)
    assert torch.equal(alone, first)


@pytest.mark.parametrize("change", [{"seed": 2}, {"epoch": 3}], ids=["seed", "epoch"])
def test_another_epoch_or_seed_draws_anew(change: dict[str, int]) -> None:
    feeder = Feeder(FeederConfig(window=16), SBU15)
    usual = {"seed": 1, "epoch": 2}

    before = feeder.training_batch(padded(0, 1), seed=1, epoch=2).joints
    after = feeder.training_batch(padded(0, 1), **{**usual, **change}).joints

    assert not torch.isclose(before, after).all(dim=(1, 2, 3, 4)).any()


def test_two_clips_of_one_batch_are_augmented_each_in_its_own_way() -> None:
    clip = long_clip(0)
    twins = pad_clips([(0, clip), (1, clip)], max_bodies=2)

    batch = Feeder(FeederConfig(window=16), SBU15).training_batch(twins, seed=1, epoch=0)

    assert not torch.allclose(batch.joints[0], batch.joints[1])


def test_evaluation_draws_nothing() -> None:
    config = FeederConfig(window=16, eval_crop=0.9)
    numpy_state, torch_state = repr(np.random.get_state()), torch.get_rng_state()

    batches = [Feeder(config, SBU15).evaluation_batch(padded(1, 2)) for _ in range(2)]

    assert torch.equal(batches[0].joints, batches[1].joints)
    assert repr(np.random.get_state()) == numpy_state
    assert torch.equal(torch.get_rng_state(), torch_state)


def test_training_does_not_touch_the_global_generators_either() -> None:
    torch.manual_seed(0)
    before = torch.get_rng_state()

    Feeder(FeederConfig(window=16), SBU15).training_batch(padded(1), seed=1, epoch=0)

    assert torch.equal(torch.get_rng_state(), before)


def test_evaluation_cuts_the_share_from_the_middle_and_turns_nothing() -> None:
    clips = padded(0)

    batch = Feeder(FeederConfig(window=16, eval_crop=0.5), SBU15).evaluation_batch(clips)

    crop = CropResize(16, (0.5,))
    expected = crop.apply(clips.joints, [crop.sample(100, np.random.default_rng(0))])
    assert torch.equal(batch.joints, expected.permute(0, 4, 1, 3, 2))


def test_an_absent_body_stays_zero_whatever_is_done() -> None:
    clips = pad_clips([(0, tiny_clip(0)), (1, tiny_clip(1))], max_bodies=2)
    assert tiny_clip(0).num_bodies == 1

    for stream in Stream:
        feeder = Feeder(FeederConfig(stream=stream, window=8), SBU15)
        batch = feeder.training_batch(clips, seed=1, epoch=0)
        assert not batch.joints[0, ..., 1].any()
        assert batch.joints[1, ..., 1].any()


def test_without_rotation_clips_are_only_cut_and_resized() -> None:
    config = FeederConfig(window=16, train_crop=(1.0, 1.0), rotation=0)
    clips = padded(2)

    batch = Feeder(config, SBU15).training_batch(clips, seed=1, epoch=0)

    whole = CropResize(16, (1.0,)).apply(clips.joints, [Crop(0, 114)])
    assert torch.equal(batch.joints, whole.permute(0, 4, 1, 3, 2))


def test_flat_skeletons_cannot_be_turned_and_the_way_out_is_named() -> None:
    coco = get_layout("coco17")

    with pytest.raises(DataError, match=r"layout coco17 has x, y.*--set data\.rotation=0"):
        Feeder(FeederConfig(rotation=0.3), coco)

    assert Feeder(FeederConfig(rotation=0), coco).layout is coco


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("window", 3),
        ("window", 4097),
        ("window", True),
        ("train_crop", (1.0, 0.5)),
        ("train_crop", (0.0, 0.5)),
        ("train_crop", (0.5, 1.1)),
        ("train_crop", (0.5, float("nan"))),
        ("eval_crop", 0.0),
        ("eval_crop", 1.01),
        ("rotation", -0.1),
        ("rotation", 4),
        ("stream", "bones"),
        ("fill", "repeat"),
        ("windows", 64),
    ],
)
def test_settings_out_of_range_are_refused(field: str, value: object) -> None:
    with pytest.raises(ValidationError, match=field):
        FeederConfig.model_validate({field: value})


def test_a_clip_whose_gaps_count_keeps_its_end() -> None:
    joints = np.ones((1, 20, 15, 3), np.float32) * np.arange(1, 21, dtype=np.float32)[:, None, None]
    joints[0, 5:10] = 0
    clip = Clip(SampleInfo("gap", label=0), joints, np.arange(20, dtype=np.int32))
    config = FeederConfig(window=20, eval_crop=1.0, rotation=0)
    clips = pad_clips([(0, clip)], 1)

    counted = Feeder(config, SBU15).evaluation_batch(clips).joints[0, 0, :, 0, 0]
    kept = Feeder(config, SBU15, keeps_gaps=True).evaluation_batch(clips).joints[0, 0, :, 0, 0]

    assert counted.max() == 15  # fifteen frames have values, so the last five are cut off
    assert kept.tolist() == joints[0, :, 0, 0].tolist()


@pytest.mark.parametrize("fill", [Fill.LOOP, Fill.ZEROS, Fill.SAMPLE])
@pytest.mark.parametrize("stream", list(Stream))
def test_a_batch_of_picked_frames_equals_its_steps_one_clip_after_the_other(
    fill: Fill, stream: Stream
) -> None:
    config = FeederConfig(
        stream=stream, window=120, fill=fill, train_crop=(0.6, 0.9), rotation=0.2, eval_crop=0.9
    )
    clips, feeder = padded(4, 0, 2), Feeder(config, SBU15)

    trained = feeder.training_batch(clips, seed=5, epoch=7).joints
    tested = feeder.evaluation_batch(clips).joints

    for place, row in enumerate((4, 0, 2)):
        (rng,) = EpochChance().of_clips(seed=5, epoch=7, rows=[row])
        single, length = padded(row).joints, 100 + 7 * row
        pick, turn = PickFrames(120, (0.6, 0.9), fill), RandomRotation(0.2)
        joints = pick.apply(single, [pick.sample(length, rng)])
        joints = turn.apply(joints, [turn.sample(rng)])
        expected = derive_stream(joints.permute(0, 4, 1, 3, 2), stream, SBU15)
        torch.testing.assert_close(trained[place], expected[0])
        even = PickFrames(120, (0.9,), fill)
        still = even.apply(single, [even.sample(length, np.random.default_rng(0))])
        expected = derive_stream(still.permute(0, 4, 1, 3, 2), stream, SBU15)
        assert torch.equal(tested[place], expected[0])


def test_all_draws_of_a_clip_are_enough_whatever_is_done_with_it() -> None:
    for fill in Fill:
        config = FeederConfig(window=16, fill=fill, limbs=0.1)

        batch = Feeder(config, SBU15).training_batch(padded(1, 2), seed=1, epoch=0)

        assert batch.joints.isfinite().all()


def test_frames_of_zeros_are_frames_of_a_looped_clip() -> None:
    joints = np.ones((1, 6, 15, 3), np.float32) * np.arange(1, 7, dtype=np.float32)[:, None, None]
    joints[0, 2] = 0
    clip = Clip(SampleInfo("gap", label=0), joints, np.arange(6, dtype=np.int32))
    config = FeederConfig(window=9, fill=Fill.LOOP, eval_crop=1.0, rotation=0)

    batch = Feeder(config, SBU15).evaluation_batch(pad_clips([(0, clip)], 1))

    assert batch.joints[0, 0, :, 0, 0].tolist() == [1, 2, 0, 4, 5, 6, 1, 2, 0]


def test_a_looped_clip_moves_at_its_seam() -> None:
    joints = np.ones((1, 3, 15, 3), np.float32) * np.arange(3, dtype=np.float32)[:, None, None]
    clip = Clip(SampleInfo("seam", label=0), joints, np.arange(3, dtype=np.int32))
    config = FeederConfig(
        stream=Stream.JOINT_MOTION, window=7, fill=Fill.LOOP, eval_crop=1.0, rotation=0
    )

    batch = Feeder(config, SBU15).evaluation_batch(pad_clips([(0, clip)], 1))

    assert batch.joints[0, 0, :, 0, 0].tolist() == [1, 1, -2, 1, 1, -2, 0]


def test_settings_that_say_nothing_of_the_filling_mean_resized_clips() -> None:
    older = FeederConfig().model_dump(mode="json")
    del older["fill"]

    assert FeederConfig.model_validate(older).fill is Fill.RESIZE
