"""How well bodies were tracked, against clips of which that is known."""

import math
from pathlib import Path

import numpy as np
import pytest
from jaxtyping import Float32
from numpy import ndarray
from tiny_clips import SBU15, tiny_store

from skelab.data.audit.quality import check_quality, clip_quality


def still_body(frames: int = 10) -> Float32[ndarray, "M T V C"]:
    """A body that does not move, one bone length from joint to joint and more."""
    pose = np.random.default_rng(0).normal(1.0, 1.0, (1, 1, SBU15.num_joints, 3))
    return np.repeat(pose, frames, axis=1).astype(np.float32)


def test_a_body_that_does_not_move_has_no_fault() -> None:
    found = clip_quality("still", still_body(), SBU15)

    assert (found.empty_frames, found.missing_joints, found.jumps) == (0.0, 0.0, 0.0)
    assert found.bone_variation == pytest.approx(0.0, abs=1e-6)


def test_drop_outs_are_counted_by_frames_and_by_joints() -> None:
    joints = still_body()
    joints[0, :2] = 0
    joints[0, 5, :3] = 0

    found = clip_quality("gaps", joints, SBU15)

    assert found.empty_frames == pytest.approx(2 / 10)
    assert found.missing_joints == pytest.approx(3 / (8 * SBU15.num_joints))


def test_a_joint_that_leaps_is_a_jump_there_and_back() -> None:
    joints = still_body()
    joints[0, 4, 7] += 50

    found = clip_quality("leap", joints, SBU15)

    assert found.jumps == pytest.approx(2 / 9)
    assert found.bone_variation > 0.1


def test_a_joint_that_comes_back_after_a_drop_out_has_not_jumped() -> None:
    joints = still_body()
    joints[0, 4, 7] = 0

    found = clip_quality("gap", joints, SBU15)

    assert found.jumps == 0.0


def test_an_empty_clip_has_no_bones() -> None:
    found = clip_quality("empty", np.zeros_like(still_body()), SBU15)

    assert found.empty_frames == 1.0
    assert math.isnan(found.bone_variation)


def test_a_set_has_figures_over_its_clips_and_names_the_worst(tmp_path: Path) -> None:
    store = tiny_store(tmp_path / "clips.arrow")
    told: list[tuple[int, int]] = []

    report = check_quality(store, lambda done, total: told.append((done, total)))

    values = [clip.bone_variation for clip in report.clips]
    summary = report.summary()["bone_variation"]
    assert told[-1] == (24, 24)
    assert summary["mean"] == pytest.approx(np.mean(values))
    assert summary["highest"] == max(values)
    assert report.worst("bone_variation", 2)[0].bone_variation == max(values)
    assert report.worst("empty_frames") == []
    assert len(report.to_dict()["clips"]) == 24
