"""Batches rebuilt from the log, bit for bit."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from feeding_kit import SBU15

from skelab.data.clips.clip import Clip, SampleInfo
from skelab.data.feeding import (
    DrawLog,
    Feeder,
    FeederConfig,
    LoggedDraws,
    read_draws,
    replay_draws,
)
from skelab.data.feeding import feeder as feeder_module
from skelab.data.feeding.dataset import PaddedClips, pad_clips
from skelab.errors import DataError

EVERYTHING: dict[str, Any] = {
    "window": 24,
    "limbs": 0.1,
    "yaw": 1.0,
    "stream": "bone-motion",
    "transforms": [
        *("mirror", "shear", "scale", "noise", "reverse-time", "mask-time"),
        *("drop-joints", {"name": "mask-time", "freeze": True}, "mix"),
    ],
}


def clips_of(*rows: int) -> PaddedClips:
    clips = []
    for row in rows:
        shape = (1 + row % 2, 20 + 13 * row, 15, 3)
        joints = np.random.default_rng(row).normal(size=shape).astype(np.float32)
        info = SampleInfo(f"clip{row}", row % 3)
        clips.append((row, Clip(info, joints, np.arange(shape[1], dtype=np.int32))))
    return pad_clips(clips, max_bodies=2)


@pytest.mark.parametrize("fill", ["resize", "loop", "zeros", "sample"])
@pytest.mark.parametrize("compiled", [True, False])
def test_a_batch_is_rebuilt_bit_for_bit_from_the_log(
    fill: str, compiled: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not compiled:
        monkeypatch.setattr(feeder_module, "can_resample", lambda: False)
    config = FeederConfig.model_validate({**EVERYTHING, "fill": fill})
    training = Feeder(config, SBU15, log=DrawLog(tmp_path / "draws.jsonl"))
    batches = [((5, 0, 2), 0), ((1, 4), 0), ((2, 5, 1), 1)]
    trained = [training.training_batch(clips_of(*rows), seed=3, epoch=e) for rows, e in batches]

    later = Feeder(config, SBU15)
    logged = {epoch: read_draws(tmp_path / "draws.jsonl", epoch=epoch) for epoch in (0, 1)}
    again = [replay_draws(later, clips_of(*rows), logged[epoch]) for rows, epoch in batches]

    assert logged[0].rows == (5, 0, 2, 1, 4)
    for before, after in zip(trained, again, strict=True):
        assert before.joints.numpy().tobytes() == after.joints.numpy().tobytes()
        assert torch.equal(before.labels, after.labels)
        assert before.rows == after.rows
        assert before.mixed is not None
        assert after.mixed is not None
        assert torch.equal(before.mixed.labels, after.mixed.labels)
        assert torch.equal(before.mixed.weights, after.mixed.weights)


def logged_draws(tmp_path: Path, config: FeederConfig) -> LoggedDraws:
    feeder = Feeder(config, SBU15, log=DrawLog(tmp_path / "draws.jsonl"))
    feeder.training_batch(clips_of(5, 0, 2), seed=3, epoch=0)
    return read_draws(tmp_path / "draws.jsonl", epoch=0)


def test_clips_and_feeders_of_another_run_are_refused(tmp_path: Path) -> None:
    config = FeederConfig.model_validate({"transforms": ["mirror"]})
    logged, feeder = logged_draws(tmp_path, config), Feeder(config, SBU15)
    others = replace(clips_of(5, 0), names=("clip5", "somebody"))

    with pytest.raises(DataError, match="epoch 0: expected clip 'clip1' in row 1, found no such"):
        replay_draws(feeder, clips_of(5, 1), logged)
    with pytest.raises(DataError, match="expected clip 'somebody' in row 0, found clip 'clip0'"):
        replay_draws(feeder, others, logged)
    with pytest.raises(
        DataError, match=r"of crop-resize, rotate, as .* those of crop-resize, rota"
    ):
        replay_draws(Feeder(FeederConfig(), SBU15), clips_of(5), logged)


def test_a_clip_that_was_mixed_in_must_be_there(tmp_path: Path) -> None:
    config = FeederConfig.model_validate({"transforms": ["mix"]})
    logged = logged_draws(tmp_path, config)

    with pytest.raises(DataError, match=r"clip 5 was mixed with clip \d, which is not in the"):
        replay_draws(Feeder(config, SBU15), clips_of(5), logged)
