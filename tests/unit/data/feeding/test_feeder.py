"""The feeder: what training draws, what evaluation does not, and that company does not matter."""

import hashlib
import json
from typing import Any

import numpy as np
import pytest
import torch
from feeding_kit import batch_of, facts_of
from pydantic import ValidationError
from tiny_clips import SBU15, tiny_clip

from skelab.data.clips.clip import Clip, SampleInfo
from skelab.data.feeding import feeder as feeder_module
from skelab.data.feeding.chance import EpochChance
from skelab.data.feeding.dataset import PaddedClips, pad_clips
from skelab.data.feeding.feeder import Feeder, FeederConfig
from skelab.data.feeding.streams import Stream, derive_stream
from skelab.data.feeding.transforms import (
    TRANSFORM_SETTINGS,
    Crop,
    CropResize,
    Fill,
    Mirror,
    PickFrames,
    RandomRotation,
    Scale,
    frames_of_test_clips,
)
from skelab.errors import DataError
from skelab.native import can_resample, resample_clips
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
        facts = facts_of(100 + 7 * row)
        shaped = crop.apply(batch_of(single), [crop.sample(facts, rng)])
        shaped = turn.apply(shaped, [turn.sample(facts, rng)])
        expected = derive_stream(shaped.joints, stream, SBU15)
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
    drawn = [crop.sample(facts_of(100), np.random.default_rng(0))]
    assert torch.equal(batch.joints, crop.apply(batch_of(clips.joints), drawn).joints)


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

    whole = CropResize(16, (1.0,)).apply(batch_of(clips.joints), [Crop(0, 114)])
    assert torch.equal(batch.joints, whole.joints)


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
        single, facts = batch_of(padded(row).joints), facts_of(100 + 7 * row)
        pick, turn = PickFrames(120, (0.6, 0.9), fill), RandomRotation(0.2)
        shaped = pick.apply(single, [pick.sample(facts, rng)])
        shaped = turn.apply(shaped, [turn.sample(facts, rng)])
        expected = derive_stream(shaped.joints, stream, SBU15)
        torch.testing.assert_close(trained[place], expected[0])
        even = PickFrames(120, (0.9,), fill)
        still = even.apply(single, [even.sample(facts, np.random.default_rng(0))])
        expected = derive_stream(still.joints, stream, SBU15)
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


SHORT: dict[str, Any] = {"window": 16, "train_crop": (0.4, 0.9), "yaw": 1.0, "limbs": 0.2}
DIGESTS = {
    Fill.RESIZE: "3548ec06be3ddbbdfb07aa2a176d25e3aa204b450e05d683cb31871537b68364",
    Fill.LOOP: "96f966cabcf40c98a51d6ad286ab137360c219895eb63393d116554d5b6eb194",
    Fill.ZEROS: "96f966cabcf40c98a51d6ad286ab137360c219895eb63393d116554d5b6eb194",
    Fill.SAMPLE: "3423994f85ac6b51ca9c896c074a135f70e3ace40173b68d654aa2256fd25df2",
}


@pytest.mark.parametrize("fill", list(Fill))
def test_the_short_keys_draw_what_they_have_always_drawn(fill: Fill) -> None:
    feeder = Feeder(FeederConfig(fill=fill, **SHORT), SBU15)

    drawn = feeder.draw(padded(4, 0, 2), seed=5, epoch=7)

    text = json.dumps({label: list(values) for label, values in drawn.items()})
    assert hashlib.sha256(text.encode()).hexdigest() == DIGESTS[fill]


@pytest.mark.parametrize("listed", sorted(set(TRANSFORM_SETTINGS) - {"rotate", "limbs"}))
def test_a_further_transform_changes_no_draws_of_the_others(listed: str) -> None:
    others = [name for name in ("mirror", "noise") if name != listed]
    more = [*others, listed] if listed == "mix" else [listed, *others]
    clips = padded(4, 0, 2)

    with_it, without = (
        Feeder(FeederConfig.model_validate({**SHORT, "transforms": names}), SBU15).draw(
            clips, seed=5, epoch=7
        )
        for names in (more, others)
    )

    assert set(with_it) == {*without, listed}
    assert {label: with_it[label] for label in without} == without


def test_a_transform_that_is_listed_again_draws_for_itself() -> None:
    config = FeederConfig.model_validate({"transforms": ["mask-time", "mask-time", "mask-time"]})
    clips = padded(*range(12))

    drawn = Feeder(config, SBU15).draw(clips, seed=5, epoch=7)

    assert list(drawn) == ["crop-resize", "rotate", "mask-time", "mask-time 2", "mask-time 3"]
    assert len({str(drawn[label]) for label in list(drawn)[2:]}) == 3


def test_listed_transforms_act_after_the_usual_ones_in_their_order_and_before_the_stream() -> None:
    content = {**SHORT, "stream": "bone", "transforms": ["scale", "mirror"]}
    config, clips = FeederConfig.model_validate(content), padded(4, 0, 2)
    feeder = Feeder(config, SBU15)

    batch = feeder.training_batch(clips, seed=5, epoch=7)

    drawn = feeder.draw(clips, seed=5, epoch=7)
    usual = config.model_copy(update={"stream": Stream.JOINT, "transforms": ()})
    shaped = Feeder(usual, SBU15).training_batch(clips, seed=5, epoch=7)
    shaped = Scale(SBU15).apply(shaped, drawn["scale"])
    shaped = Mirror(SBU15).apply(shaped, drawn["mirror"])
    assert set(drawn["mirror"]) == {True, False}
    assert torch.equal(batch.joints, derive_stream(shaped.joints, Stream.BONE, SBU15))


def test_evaluation_leaves_listed_transforms_out() -> None:
    config = FeederConfig.model_validate({"transforms": ["noise", "mirror", "mix"]})
    clips = padded(1, 2)

    batch = Feeder(config, SBU15).evaluation_batch(clips)

    assert torch.equal(batch.joints, Feeder(FeederConfig(), SBU15).evaluation_batch(clips).joints)
    assert batch.mixed is None


@pytest.mark.skipif(not can_resample(), reason="the kernel was not built")
@pytest.mark.parametrize(
    ("content", "turned"),
    [
        ({}, True),
        ({"rotation": 0}, False),
        ({"rotation": 0, "transforms": ["rotate"]}, True),
        ({"rotation": 0, "transforms": ["mirror", "rotate"]}, False),
        ({"limbs": 0.1, "transforms": ["shear", "mix"]}, True),
    ],
)
def test_compiled_code_fills_and_turns_whatever_follows_with_the_bits_of_torch(
    content: dict[str, Any], turned: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    feeder = Feeder(FeederConfig.model_validate({"window": 16, **content}), SBU15)
    turns = []

    def watched(values: Any, clips: Any, matrices: Any, out: Any) -> None:
        turns.append(matrices is not None)
        resample_clips(values, clips, matrices, out)

    monkeypatch.setattr(feeder_module, "resample_clips", watched)
    compiled = feeder.training_batch(padded(4, 0, 2), seed=5, epoch=7).joints
    monkeypatch.setattr(feeder_module, "can_resample", lambda: False)
    by_torch = feeder.training_batch(padded(4, 0, 2), seed=5, epoch=7).joints

    assert turns == [turned]
    assert torch.equal(compiled, by_torch)


def test_test_clips_show_other_frames_of_a_clip_and_then_their_mirror_images() -> None:
    config = FeederConfig(window=8, fill=Fill.SAMPLE, eval_crop=1.0)
    feeder, clips = Feeder(config, SBU15), pad_clips([(0, long_clip(0))], max_bodies=1)

    batches = list(feeder.test_batches(clips, 3, mirrored=True))

    frames = frames_of_test_clips(150, 8, 3)
    assert len(batches) == 6
    for number in range(3):
        shown, image = batches[number].joints, batches[number + 3].joints
        assert torch.equal(shown, clips.joints[:, :, frames[number].tolist()])
        assert torch.equal(image[:, 0], -shown[:, 0][:, :, list(SBU15.mirror)])
        assert torch.equal(image[:, 1:], shown[:, 1:][:, :, :, list(SBU15.mirror)])


def test_test_clips_need_a_window_of_sampled_frames_and_a_count() -> None:
    sampled, clips = FeederConfig(fill=Fill.SAMPLE), padded(0)

    with pytest.raises(DataError, match=r"data\.fill=sample, found resize"):
        next(Feeder(FeederConfig(), SBU15).test_batches(clips, 10))
    with pytest.raises(DataError, match="test clips: expected a count from 1, found 0"):
        next(Feeder(sampled, SBU15).test_batches(clips, 0))
