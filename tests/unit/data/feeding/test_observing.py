"""Observing: what a network gets of the beginning of a clip is what it gets of a clip that ends."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from feeding_kit import SBU15
from jaxtyping import Float32
from numpy import ndarray

from skelab.data.clips.clip import Clip, SampleInfo
from skelab.data.feeding import DrawLog, Feeder, FeederConfig, read_draws, replay_draws
from skelab.data.feeding import feeder as feeder_module
from skelab.data.feeding.chance import ClipChance
from skelab.data.feeding.dataset import PaddedClips, pad_clips
from skelab.data.feeding.observing import OBSERVE, WHOLE, Observing, observe, observed_frames
from skelab.errors import DataError

FILLS = ["resize", "loop", "zeros", "sample"]


def joints_of(row: int, frames: int, bodies: int = 2) -> Float32[ndarray, "M T 15 3"]:
    shape = (bodies, frames, 15, 3)
    return np.random.default_rng(row).normal(size=shape).astype(np.float32)


def padded(*clips: Float32[ndarray, "M T 15 3"]) -> PaddedClips:
    made = [
        Clip(SampleInfo(f"clip{row}", row), joints, np.arange(joints.shape[1], dtype=np.int32))
        for row, joints in enumerate(clips)
    ]
    return pad_clips(list(enumerate(made)), max_bodies=2)


@pytest.mark.parametrize("fill", FILLS)
@pytest.mark.parametrize("compiled", [True, False])
@pytest.mark.parametrize("later", [0, 1, 7, 200])
def test_what_is_seen_of_a_beginning_does_not_depend_on_what_follows_nor_on_how_long(
    fill: str, compiled: bool, later: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not compiled:
        monkeypatch.setattr(feeder_module, "can_resample", lambda: False)
    config = FeederConfig(window=16, fill=fill, stream="bone-motion", limbs=0.1)
    feeder = Feeder(config, SBU15, observing=Observing())
    beginning, other = joints_of(0, 20), joints_of(1, 31, bodies=1)
    rest = joints_of(5, later) if later else beginning[:, :0]
    alone = padded(beginning, other)
    longer = padded(np.concatenate([beginning, rest], axis=1), other)
    drawn = Feeder(config, SBU15).draw(alone, seed=3, epoch=2)

    tested = feeder.evaluation_batch(observe(longer, [20, 31]))
    trained = feeder.apply(longer, {**drawn, OBSERVE: [20, 31]})

    assert torch.equal(tested.joints, Feeder(config, SBU15).evaluation_batch(alone).joints)
    assert torch.equal(trained.joints, Feeder(config, SBU15).apply(alone, drawn).joints)


def test_a_share_is_cut_off_before_the_clip_is_resized() -> None:
    feeder = Feeder(FeederConfig(window=16), SBU15)
    clip = joints_of(0, 50)

    found = feeder.evaluation_batch(padded(clip), share=0.3).joints

    assert torch.equal(found, feeder.evaluation_batch(padded(clip[:, :15])).joints)


def test_observing_all_of_a_clip_changes_nothing_even_where_it_has_gaps() -> None:
    feeder = Feeder(FeederConfig(window=16), SBU15)
    clip = joints_of(0, 50)
    clip[:, 10:20] = 0

    found = feeder.evaluation_batch(padded(clip), share=1.0).joints

    assert torch.equal(found, feeder.evaluation_batch(padded(clip)).joints)


def test_a_share_of_a_clip_with_gaps_is_one_of_its_valid_frames() -> None:
    feeder = Feeder(FeederConfig(window=16), SBU15)
    clip = joints_of(0, 50)
    clip[:, 10:20] = 0  # 40 valid frames

    found = feeder.evaluation_batch(padded(clip), share=0.5).joints

    assert torch.equal(found, feeder.evaluation_batch(padded(clip[:, :20])).joints)


def test_frames_are_kept_by_body_and_counted_anew() -> None:
    first, second = joints_of(0, 6), joints_of(1, 9, bodies=1)
    first[:, 2] = 0

    observed = observe(padded(first, second), [4, 20])

    assert (observed.frames, observed.valid, observed.bodies) == ((4, 9), (3, 9), (2, 1))
    np.testing.assert_array_equal(observed.poses[:8], first[:, :4].reshape(8, 15, 3))
    np.testing.assert_array_equal(observed.poses[8:], second[0])


@pytest.mark.parametrize(
    ("frames", "share", "expected"),
    [(10, 0.7, 7), (10, 0.71, 8), (3, 0.1, 1), (30, 0.1, 3), (64, 1.0, 64), (1, 0.01, 1)],
)
def test_a_share_is_rounded_up_to_whole_frames(frames: int, share: float, expected: int) -> None:
    assert observed_frames(frames, share) == expected


def test_a_share_is_drawn_from_its_range() -> None:
    observing = Observing((0.2, 0.6))

    found = [observing.sample(100, ClipChance([uniform])) for uniform in (0.0, 0.5, 0.999)]

    assert found == [20, 40, 60]


def test_draws_are_of_the_clip_and_leave_those_of_other_transforms_alone() -> None:
    config = FeederConfig(window=16, transforms=["mirror"])
    clips = padded(joints_of(0, 30), joints_of(1, 40))
    plain, observing = Feeder(config, SBU15), Feeder(config, SBU15, observing=Observing())

    first, again = (observing.draw(clips, seed=3, epoch=1) for _ in range(2))
    later = observing.draw(clips, seed=3, epoch=2)

    assert first == again
    assert first[OBSERVE] != later[OBSERVE]
    assert first["rotate"] == plain.draw(clips, seed=3, epoch=1)["rotate"]


def test_the_whole_clip_is_augmented_as_its_beginning_is() -> None:
    config = FeederConfig(window=16, train_crop=(1.0, 1.0), transforms=["mirror", "mix"])
    clips = padded(joints_of(0, 30), joints_of(1, 40))
    feeder = Feeder(config, SBU15, observing=Observing((0.5, 0.5), whole=True))

    drawn = feeder.draw(clips, seed=3, epoch=1)
    batch = feeder.apply(clips, drawn)

    same = {name: values for name, values in drawn.items() if name not in (OBSERVE, WHOLE)}
    expected = Feeder(config, SBU15).apply(clips, {**same, "crop-resize": [(0, 30), (0, 40)]})
    assert drawn[WHOLE] == [(0, 30), (0, 40)]
    assert batch.whole is not None
    assert torch.equal(batch.whole, expected.joints)
    part = batch.part(1, 1).whole
    assert part is not None
    assert torch.equal(part, expected.joints[1:])


def test_a_batch_is_rebuilt_from_the_log(tmp_path: Path) -> None:
    config = FeederConfig(window=16, transforms=["mirror"])
    observing = Observing(whole=True)
    clips = padded(joints_of(0, 30), joints_of(1, 40))
    log = DrawLog(tmp_path / "draws.jsonl")
    trained = Feeder(config, SBU15, log=log, observing=observing).training_batch(
        clips, seed=3, epoch=0
    )

    logged = read_draws(tmp_path / "draws.jsonl", epoch=0)
    found = replay_draws(Feeder(config, SBU15, observing=observing), clips, logged)

    assert torch.equal(found.joints, trained.joints)
    assert found.whole is not None
    assert trained.whole is not None
    assert torch.equal(found.whole, trained.whole)
    assert json.loads((tmp_path / "draws.jsonl").read_text().split("\n")[0])["transform"] == OBSERVE


def test_a_log_without_observing_is_not_replayed_by_a_feeder_that_observes(tmp_path: Path) -> None:
    config = FeederConfig(window=16)
    clips = padded(joints_of(0, 30))
    Feeder(config, SBU15, log=DrawLog(tmp_path / "d.jsonl")).training_batch(clips, seed=3, epoch=0)
    logged = read_draws(tmp_path / "d.jsonl", epoch=0)

    with pytest.raises(DataError, match="expected draws of observe, crop-resize, rotate"):
        replay_draws(Feeder(config, SBU15, observing=Observing()), clips, logged)


@pytest.mark.parametrize("share", [0.0, -0.1, 1.01, float("nan")])
def test_a_share_out_of_range_is_refused(share: float) -> None:
    with pytest.raises(DataError, match="above 0 and up to 1, found"):
        observed_frames(10, share)


@pytest.mark.parametrize("shares", [(0.0, 1.0), (0.5, 0.4), (0.5, 1.1)])
def test_shares_that_are_no_range_are_refused(shares: tuple[float, float]) -> None:
    with pytest.raises(DataError, match="0 < lowest <= highest <= 1, found"):
        Observing(shares)


def test_a_number_of_frames_is_asked_of_each_clip() -> None:
    clips = padded(joints_of(0, 30), joints_of(1, 40))

    with pytest.raises(DataError, match=r"expected 2 numbers from 1, found \[3\]"):
        observe(clips, [3])
    with pytest.raises(DataError, match=r"expected 2 numbers from 1, found \[3, 0\]"):
        observe(clips, [3, 0])


def test_clips_that_are_kept_whole_are_not_copied() -> None:
    clips = padded(joints_of(0, 30))

    assert observe(clips, [30]) is clips
