"""BlazePose: its outputs as poses; the models themselves where they are at hand."""

import importlib
import math
from typing import Any

import numpy as np
import pytest

from skelab.errors import PoseError
from skelab.pose import blazepose
from skelab.pose.blazepose import BlazePose, decode_pose
from skelab.pose.model_files import PoseModelFiles, load_pose_models
from skelab.pose.regions import Region


def test_landmarks_are_brought_into_the_picture() -> None:
    points, world = np.zeros((39, 5), dtype=np.float32), np.zeros((39, 3), dtype=np.float32)
    points[0] = (128, 64, 25.6, 0.0, 0.0)
    points[33, :2], points[34, :2] = (128, 128), (128, 28)
    points[1, 3] = 100.0
    world[0] = (0.1, -0.6, 0.2)
    outputs = [points.reshape(1, 195), np.array([[0.75]], np.float32), world.reshape(1, 117)]
    region = Region(100.0, 200.0, 256.0, math.pi / 2)

    pose = decode_pose(outputs, region)

    assert pose.score == 0.75
    np.testing.assert_allclose(pose.picture[0], [100 + 64, 200, 25.6], atol=1e-4)
    np.testing.assert_allclose(pose.world[0], [0.6, 0.1, 0.2], atol=1e-6)
    np.testing.assert_allclose(pose.visibility[:2], [0.5, 1.0], atol=1e-6)
    # The next region stands about the hips, and is turned as the body is.
    np.testing.assert_allclose([pose.region.x, pose.region.y], [100, 200], atol=1e-4)
    assert pose.region.side == pytest.approx(250)
    assert pose.region.angle == pytest.approx(math.pi / 2)


def test_without_litert_the_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> Any:
        raise ImportError(f"No module named {name!r}")

    monkeypatch.setattr(blazepose, "import_module", missing)

    with pytest.raises(PoseError, match=r"need the package ai-edge-litert, .*\[pose\]"):
        BlazePose(PoseModelFiles("full", b"", b""))


def test_a_file_that_is_no_model_is_refused() -> None:
    pytest.importorskip("ai_edge_litert.interpreter")

    with pytest.raises(PoseError, match="the detector cannot be run by LiteRT: "):
        BlazePose(PoseModelFiles("full", b"no model", b"no model"))


def test_nobody_is_found_in_an_empty_picture() -> None:
    if importlib.util.find_spec("ai_edge_litert") is None:
        pytest.skip("ai-edge-litert is not installed")
    try:
        files = load_pose_models()
    except PoseError as error:
        pytest.skip(f"BlazePose's models are not here: {error}")
    estimator = BlazePose(files, threads=1)

    found = estimator.detect(np.full((240, 320, 3), 90, dtype=np.uint8))
    pose = estimator.locate(np.full((240, 320, 3), 90, dtype=np.uint8), Region(160.0, 120.0, 200.0))

    assert found == []
    assert pose.score < 0.5
