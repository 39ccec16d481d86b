"""2D poses with scores, from the pickle of PYSKL to a trained PoseC3D."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cli_outcome import Outcome
from jaxtyping import Float64
from numpy import ndarray
from prepared_files import write_pyskl

from skelab.data.clips.store import open_store
from skelab.evaluation import Scores
from skelab.inference import open_network

Skelab = Callable[..., Outcome]

_COCO = (
    *((0, 0), (0.03, -0.03), (-0.03, -0.03), (0.07, -0.01), (-0.07, -0.01)),
    *((0.18, 0.2), (-0.18, 0.2), (0.25, 0.5), (-0.25, 0.5), (0.28, 0.75), (-0.28, 0.75)),
    *((0.1, 0.75), (-0.1, 0.75), (0.12, 1.15), (-0.12, 1.15), (0.13, 1.55), (-0.13, 1.55)),
)
"""A person who stands, seen from the front, in heads and y downwards: the joints of COCO."""

_OPENPOSE = (0, None, 6, 8, 10, 5, 7, 9, 12, 14, 16, 11, 13, 15, 2, 1, 4, 3)
"""OpenPose's joints among those of COCO; its neck lies between the shoulders."""

FIGURES = {
    17: np.array(_COCO),
    18: np.array(
        [_COCO[joint] if joint is not None else (0.0, 0.2) for joint in _OPENPOSE], dtype=float
    ),
}
HANDS = {17: (9, 10), 18: (7, 4)}
SMALL = (
    *("--set=model.width=2", "--set=model.blocks=1-1-1", "--set=model.size=16"),
    *("--set=data.window=8", "--set=data.validation_subjects=0"),
    *("--set=training.epochs=1", "--set=training.batch_size=8"),
)


def moving(joints: int, label: int, number: int) -> Float64[ndarray, "M T V 2"]:
    """Pixels of a person who moves the hands sideways (class 0) or up and down (class 1)."""
    frames = np.arange(9 + number)
    poses = np.repeat(FIGURES[joints][None], len(frames), axis=0)
    for hand in HANDS[joints]:
        poses[:, hand, label] += 0.25 * np.sin(frames / 2 + number)
    return (poses * 300 + (960.0, 300.0))[None]


def pickle_of(path: Path, joints: int) -> Path:
    """Twelve annotations of float16, four of them in the test part."""
    rng = np.random.default_rng(0)
    annotations: list[dict[str, Any]] = []
    for number in range(12):
        points = moving(joints, number % 2, number)
        annotations.append(
            {
                "frame_dir": f"clip{number:02}",
                "label": number % 2,
                "total_frames": points.shape[1],
                "img_shape": (1080, 1920),
                "original_shape": (1080, 1920),
                "keypoint": points.astype(np.float16),
                "keypoint_score": rng.uniform(0.5, 1.0, points.shape[:3]).astype(np.float16),
            }
        )
    names = [entry["frame_dir"] for entry in annotations]
    return write_pyskl(path, annotations, xsub_train=names[:8], xsub_val=names[8:])


@pytest.mark.parametrize(
    ("joints", "layout", "limbs"), [(17, "coco17", "false"), (18, "openpose18", "true")]
)
def test_a_pickle_of_poses_in_images_trains_posec3d(
    skelab: Skelab, tmp_path: Path, joints: int, layout: str, limbs: str
) -> None:
    pickled = pickle_of(tmp_path / "poses.pkl", joints)
    store, run = tmp_path / "poses.arrow", tmp_path / "run"

    ingested = skelab("ingest", pickled, store, "--workers", "1")
    trained = skelab(
        *("train", "posec3d", "--data", store, "--out", run, *SMALL),
        f"--set=model.limbs={limbs}",
    )
    evaluated = skelab(
        *("evaluate", run, "--data", store, "--out", tmp_path / "scores", "--json"),
        *("--test-clips", 3, "--mirrored"),
    )

    assert (ingested.status, trained.status, evaluated.status) == (0, 0, 0), trained.err
    assert f"layout {layout}" in ingested.out + ingested.err
    assert "train 8 clips" in trained.out + trained.err
    assert json.loads(evaluated.out)["samples"] == 4
    scores = Scores.load(tmp_path / "scores" / "scores-test.npz")
    np.testing.assert_allclose(np.exp(scores.logits).sum(axis=1), 1.0, rtol=1e-5)
    assert "3 test clips and their mirror" in (tmp_path / "scores" / "report.html").read_text()
    assert open_network(run).spec.layout.name == layout


def test_places_are_counted_from_the_middle_of_the_image_and_scores_are_kept(
    skelab: Skelab, tmp_path: Path
) -> None:
    pickled, store = pickle_of(tmp_path / "poses.pkl", 17), tmp_path / "poses.arrow"

    skelab("ingest", pickled, store, "--workers", "1")

    joints = open_store(store).clip(0).joints
    nose = moving(17, 0, 0)[0, 0, 0].astype(np.float16)
    np.testing.assert_allclose(joints[0, 0, 0, :2], (nose - (960, 540)) / (960, 540), atol=1e-6)
    assert 0.5 <= joints[..., 2].min() <= joints[..., 2].max() <= 1.0
