"""The inputs and outputs of a network, from any kind of file."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Final

import numpy as np
from jaxtyping import Shaped
from numpy import ndarray

from skelab.data.clips.store import StoreInfo
from skelab.data.feeding.feeder import Feeder
from skelab.data.feeding.side_cars import SideCarReader
from skelab.data.preprocessing import get_pipeline
from skelab.errors import CheckpointError, ExportError, ModelError, NetworkError
from skelab.files.description import read_description
from skelab.fusion import FusionSpec
from skelab.inference.checkpoint import Checkpoint, InputSpec
from skelab.inference.description import EXPORT_SCHEMA, fields_of
from skelab.inference.places import CHECKPOINT
from skelab.models import FamilyTraits, ModelSpec, get_card
from skelab.skeleton import Layout
from skelab.tasks import TaskSpec

FORMAT: Final = 2
"""Version of the description in exported files; version 1 lacks the recipe and the task."""

METADATA_KEY: Final = "skelab"
"""Key of the description in a file: an entry of ONNX's metadata, of OpenVINO's run-time
info, or the extra file ``skelab.json`` of torch.export."""

INPUT_NAME: Final = "clips"
OUTPUT_NAME: Final = "logits"

FEWEST_FRAMES: Final = 8
"""Shortest clips that an exported graph of any length is made for."""

_AXES: Final = ("channels", "frames", "joints", "bodies")


@dataclass(frozen=True)
class NetworkSpec:
    """The inputs and outputs of a network.

    Attributes:
        model: The family and its options, with the layout.
        title: The family's printed name.
        inputs: Pipeline, units, data set, class names, and how the feeder shapes clips.
        digest: Digest of the checkpoint that holds the weights.
        epoch: Trained epochs; 0 if unknown.
        protocol: How the epoch was chosen, ``honest`` or ``paper``.
        target: Kind of file: ``checkpoint``, ``onnx``, ``openvino`` or ``torch``.
        precision: ``fp32`` or ``int8``.
        dynamic_frames: The network takes clips of other lengths than the feeder's window, too.
        frames_multiple_of: T must be a multiple of this.
        min_frames: T must be at least this.
        max_frames: T must be at most this; None sets no limit.
        calibration: For int8, digest of the clips' store and the number of clips.
        versions: Versions of what wrote the file.
        recipe: The whole recipe, YAML text: split, held-out subjects, seed. Empty in files that
            were exported before it was written into them.
        task: What is predicted.
        origin: The initial weights of training; empty for random ones.
        fusion: How it takes side-cars; None if it takes none.
    """

    model: ModelSpec
    title: str
    inputs: InputSpec
    digest: str
    epoch: int
    protocol: str
    target: str = CHECKPOINT
    precision: str = "fp32"
    dynamic_frames: bool = False
    frames_multiple_of: int = 1
    min_frames: int = 1
    max_frames: int | None = None
    calibration: Mapping[str, Any] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    recipe: str = ""
    task: TaskSpec = field(default_factory=TaskSpec)
    origin: Mapping[str, Any] = field(default_factory=dict)
    fusion: FusionSpec | None = None

    @classmethod
    def of_checkpoint(cls, checkpoint: Checkpoint) -> "NetworkSpec":
        """The description of a checkpoint's network, which takes clips of any length."""
        try:
            card = get_card(checkpoint.model.name)
            title, traits = card.title, card.traits_with(checkpoint.model.options)
        except ModelError:
            title, traits = checkpoint.model.name, FamilyTraits()
        return cls(
            model=checkpoint.model,
            title=title,
            inputs=checkpoint.inputs,
            digest=checkpoint.digest,
            epoch=checkpoint.epoch,
            protocol=checkpoint.protocol,
            dynamic_frames=True,
            frames_multiple_of=traits.frames_multiple_of,
            min_frames=traits.min_frames,
            max_frames=traits.max_frames,
            recipe=checkpoint.recipe,
            task=checkpoint.task,
            origin=checkpoint.origin,
            fusion=checkpoint.fusion,
        )

    @property
    def layout(self) -> Layout:
        """The joints."""
        return self.model.layout

    @property
    def classes(self) -> tuple[str, ...]:
        """The name of each class, in the order of the logits."""
        return self.inputs.classes

    @property
    def synthetic(self) -> bool:
        """Whether the network was trained on clips that a program has made."""
        return self.inputs.synthetic

    @property
    def max_bodies(self) -> int:
        """Bodies of an input, M."""
        return self.model.max_bodies

    @property
    def window(self) -> int:
        """Frames of an input, T, as the feeder makes them."""
        return self.inputs.feeder.window

    @property
    def stream(self) -> str:
        """The input stream: ``joint``, ``bone`` and so on."""
        return self.inputs.feeder.stream.value

    @property
    def knows_training_part(self) -> bool:
        """Whether it is known which clips trained the network.

        Imported weights do not say so; ``import-weights --split`` does.
        """
        return bool(self.epoch or self.inputs.split)

    @property
    def training_note(self) -> str:
        """What is known of the clips that trained imported weights; empty if trained here."""
        if self.epoch:
            return ""
        if self.inputs.split:
            return f"Imported weights, said to be trained on split {self.inputs.split}."
        return (
            "Training part unknown: the weights do not say on which clips they learned;"
            " import-weights --split NAME says it."
        )

    def shape(self, clips: int = 1, frames: int | None = None) -> tuple[int, int, int, int, int]:
        """The shape N C T V M of an input."""
        return (
            clips,
            self.model.in_channels,
            frames or self.window,
            self.layout.num_joints,
            self.max_bodies,
        )

    @property
    def traits(self) -> FamilyTraits:
        """The traits of the family that are known from the description: its clip lengths."""
        return FamilyTraits(
            frames_multiple_of=self.frames_multiple_of,
            min_frames=self.min_frames,
            max_frames=self.max_frames,
        )

    @property
    def lengths(self) -> FamilyTraits:
        """The lengths that the network takes with ``dynamic_frames``: a graph from 8 frames on."""
        fewest = 1 if self.target == CHECKPOINT else FEWEST_FRAMES
        return replace(self.traits, min_frames=max(self.min_frames, fewest))

    def takes_frames(self, frames: int) -> bool:
        """Whether the network takes clips of so many frames."""
        return self.lengths.takes(frames) if self.dynamic_frames else frames == self.window

    def make_feeder(self, side_cars: SideCarReader | None = None) -> Feeder:
        """The feeder that shapes clips as the network was trained on them.

        Args:
            side_cars: Reads the side-cars of the clips.

        Raises:
            DataError: The pipeline is not known here.
        """
        gaps = get_pipeline(self.inputs.pipeline).keeps_gaps
        return Feeder(self.inputs.feeder, self.layout, keeps_gaps=gaps, side_cars=side_cars)

    def check_input(self, joints: Shaped[ndarray, " ..."], where: str) -> None:
        """Refuse clips that the network cannot process.

        Raises:
            NetworkError: Axes, frames, joints, bodies or number format are others, or a number is
                not finite.
        """
        shape = joints.shape
        fits = len(shape) == 5 and shape[0] > 0 and shape == self.shape(shape[0], shape[2])
        if not (fits and self.takes_frames(shape[2])):
            _, channels, window, num_joints, bodies = self.shape()
            some = "T" if self.traits.takes_all else f"T ({self.traits.lengths})"
            raise NetworkError(
                f"{where}: expected N x {channels} x {some if self.dynamic_frames else window} x"
                f" {num_joints} x {bodies} (channels, frames, joints, bodies), found"
                f" {' x '.join(map(str, shape)) or 'a single number'}"
            )
        if joints.dtype.kind != "f":
            raise NetworkError(f"{where}: expected float32 coordinates, found {joints.dtype}")
        if not np.isfinite(joints).all():
            raise NetworkError(f"{where}: expected finite coordinates, found NaN or infinity")

    def check_store(self, info: StoreInfo, store: object, where: str) -> None:
        """Refuse a store whose clips differ in kind from those that the network was trained on.

        Args:
            info: Description of the store.
            store: Name of the store in messages.
            where: Name of the network in messages.

        Raises:
            CheckpointError: Layout, pipeline, units or classes differ; the message says how.
        """
        pairs = {
            "layout": (self.layout.name, info.layout.name),
            "joints": (self.layout.joints, info.layout.joints),
            "pipeline": (self.inputs.pipeline, info.pipeline),
            "units": (self.inputs.units, info.units),
            "number of classes": (len(self.classes), len(info.classes)),
            "classes": (self.classes, info.classes),
        }
        for name, (expected, actual) in pairs.items():
            if expected != actual:
                raise CheckpointError(
                    f"{where}: was trained on {name} {_brief(expected)}, but {store} has"
                    f" {_brief(actual)}{_remedy(name, expected)}"
                )

    def to_json(self) -> str:
        """The description for an exported file, on one line."""
        content = {
            **asdict(self),
            "inputs": self.inputs.to_dict(),
            "format": FORMAT,
            "checkpoint": self.digest,
            "input": {"name": INPUT_NAME, "axes": ["clips", *_AXES]},
            "output": {"name": OUTPUT_NAME, "axes": ["clips", "classes"]},
        }
        del content["digest"], content["fusion"]  # no exported network takes side-cars
        return json.dumps(content, sort_keys=True)

    @classmethod
    def from_json(cls, text: str, where: str) -> "NetworkSpec":
        """Parse a description; both versions are read.

        Args:
            text: Output of :meth:`to_json`.
            where: What to call the file in messages.

        Raises:
            ExportError: It is not of this format.
        """
        fault = f"{where}: expected the description that `skelab export` writes, found a fault"
        written = read_description(text, EXPORT_SCHEMA, fault, ExportError)
        content = fields_of(written)
        for key in ("format", "input", "output"):
            del content[key]
        content["digest"] = content.pop("checkpoint")
        content["model"], content["task"] = written.model.spec, written.task.spec
        content["inputs"] = InputSpec(**fields_of(written.inputs))
        return cls(**content)


def pipeline_remedy(pipeline: object) -> str:
    """The end of a message that prepared clips are of another pipeline: what makes the right ones.

    Args:
        pipeline: The pipeline that a network was trained on.
    """
    return f"; `skelab ingest RECORDINGS STORE --pipeline {pipeline}` prepares recordings that way"


def _remedy(name: str, expected: object) -> str:
    return pipeline_remedy(expected) if name == "pipeline" else ""


def _brief(value: object) -> str:
    text = ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)
    return text if len(text) <= 80 else f"{text[:80]}…"
