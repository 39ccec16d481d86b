"""BlazePose, run by LiteRT.

Source: Bazarevsky et al., arXiv:2006.10204; model cards of MediaPipe's ``pose_detection`` and
``pose_landmark``. Written from the shapes of the models and the constants of their graphs; the heat
maps that the landmark model gives besides are not used.
"""

import contextlib
import os
from collections.abc import Iterator
from importlib import import_module
from typing import Any, Final

import numpy as np
from jaxtyping import Float32, UInt8
from numpy import ndarray
from PIL import Image

from skelab.errors import PoseError
from skelab.pose.estimator import EstimatedPose
from skelab.pose.landmarks import NUM_LANDMARKS
from skelab.pose.model_files import INSTALL, PoseModelFiles
from skelab.pose.regions import (
    Detection,
    Region,
    as_picture,
    decode_detections,
    drop_doubles,
    fit_square,
    squares_of,
)

_SIDE: Final = 256  # pixels of the landmark model's input
_ALL: Final = 39  # landmarks and auxiliary points
_CENTRE, _RIM = 33, 34  # auxiliary points: middle of the hips, a point on the circle
_BOXES, _LANDMARKS, _WORLD = 12, 5 * _ALL, 3 * _ALL  # last axes of the outputs, which tell them


class BlazePose:
    """Detects people and their 33 landmarks on the processor.

    Args:
        files: The models.
        threads: Of the processor; None takes two, or as many as there are.

    Raises:
        PoseError: LiteRT is not installed, or a model is not what it should be.
    """

    def __init__(self, files: PoseModelFiles, threads: int | None = None) -> None:
        self.name = f"blazepose-{files.variant}"
        self.digest = files.landmark_digest
        count = threads or min(2, os.cpu_count() or 1)
        self._detector = _Model(files.detector, "detector", count)
        self._landmarks = _Model(files.landmark, "landmark model", count)

    def detect(self, picture: UInt8[ndarray, "H W 3"]) -> list[Detection]:
        """Everybody whom the detector sees in one of the squares of a picture."""
        high, wide = picture.shape[:2]
        found = []
        for left, top, side in squares_of(wide, high):
            part = as_picture(picture[top : top + side, left : left + side])
            found += [each.moved(left, top) for each in self._detect_in(part)]
        return drop_doubles(found)

    def _detect_in(self, picture: Image.Image) -> list[Detection]:
        square, letterbox = fit_square(picture)
        outputs = self._detector.run(square[None])
        boxes = next(output for output in outputs if output.shape[-1] == _BOXES)
        logits = next(output for output in outputs if output.shape[-1] == 1)
        return decode_detections(boxes[0], logits[0, :, 0], letterbox)

    def locate(self, picture: UInt8[ndarray, "H W 3"], region: Region) -> EstimatedPose:
        """The landmarks of the person in a region."""
        outputs = self._landmarks.run(region.cut(picture, _SIDE)[None])
        return decode_pose(outputs, region)


def decode_pose(outputs: list[Float32[ndarray, "..."]], region: Region) -> EstimatedPose:
    """The pose in the outputs of the landmark model, which saw ``region``."""
    points = _output(outputs, _LANDMARKS).reshape(_ALL, 5).astype(np.float64)
    world = _output(outputs, _WORLD).reshape(_ALL, 3).astype(np.float64)
    score = float(_output(outputs, 1)[0])
    picture = np.empty((_ALL, 3))
    picture[:, :2] = region.to_picture(points[:, :2] / _SIDE)
    picture[:, 2] = points[:, 2] * region.side / _SIDE
    world[:, :2] = region.turn(world[:, :2])
    visibility = 1 / (1 + np.exp(-np.clip(points[:, 3], -50, 50)))
    return EstimatedPose(
        picture[:NUM_LANDMARKS].astype(np.float32),
        world[:NUM_LANDMARKS].astype(np.float32),
        visibility[:NUM_LANDMARKS].astype(np.float32),
        score,
        Region.around(picture[_CENTRE, :2], picture[_RIM, :2]),
    )


def _output(outputs: list[Float32[ndarray, "..."]], size: int) -> Float32[ndarray, " size"]:
    """The output with so many numbers in a row."""
    found: Float32[ndarray, " size"] = next(
        output.reshape(-1) for output in outputs if output.size == size
    )
    return found


class _Model:
    """One model of LiteRT."""

    def __init__(self, content: bytes, title: str, threads: int) -> None:
        runtime = _need_litert()
        try:
            with _silent():
                self._model = runtime.Interpreter(model_content=content, num_threads=threads)
                self._model.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            raise PoseError(f"the {title} cannot be run by LiteRT: {error}") from None
        self._input = self._model.get_input_details()[0]["index"]
        self._outputs = [detail["index"] for detail in self._model.get_output_details()]

    def run(self, values: Float32[ndarray, "..."]) -> list[Float32[ndarray, "..."]]:
        """All outputs for an input."""
        self._model.set_tensor(self._input, values)
        self._model.invoke()
        return [self._model.get_tensor(index) for index in self._outputs]


@contextlib.contextmanager
def _silent() -> Iterator[None]:
    """Keep LiteRT's own log, which it writes past Python, off the terminal."""
    before = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(before, 2)
        os.close(before)
        os.close(nowhere)


def _need_litert() -> Any:
    try:
        return import_module("ai_edge_litert.interpreter")
    except ImportError as error:
        raise PoseError(
            f"poses in videos need the package ai-edge-litert, which cannot be imported ({error}):"
            f" {INSTALL}"
        ) from None
