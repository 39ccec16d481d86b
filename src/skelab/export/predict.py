"""What does a clip show? Any network, trained or exported, on any clip that it can take."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from jaxtyping import Float32, Shaped
from numpy import ndarray
from torch import nn

from skelab.data.clips.clip import Clip, RawClip
from skelab.data.feeding.dataset import pad_clips
from skelab.data.feeding.feeder import Feeder
from skelab.data.preprocessing import get_pipeline
from skelab.errors import DataError, ExportError
from skelab.evaluation import softmax
from skelab.export.check import Network
from skelab.export.clips import prepare_clip, read_clips, recording
from skelab.export.exported import ExportedModel, is_exported, load_exported
from skelab.export.metadata import ExportMetadata, describe_checkpoint
from skelab.export.write import eager_network
from skelab.inference.checkpoint import Checkpoint, read_checkpoint
from skelab.runs.evaluate import find_checkpoint

_BATCH: Final = 16


@dataclass(frozen=True)
class Prediction:
    """The classes that a clip most likely shows.

    Attributes:
        clip: Name of the clip.
        top: The likeliest classes with their probabilities, the likeliest first.
        synthetic: The network was trained on clips that a program has made, so that this says
            nothing about people.
    """

    clip: str
    top: tuple[tuple[str, float], ...]
    synthetic: bool = False

    @property
    def label(self) -> str:
        """The likeliest class."""
        return self.top[0][0]


class Predictor:
    """A network with all that it takes to show it a clip.

    Args:
        network: Shaped clips in, logits out.
        metadata: Joints, classes and preprocessing.
    """

    def __init__(self, network: Network, metadata: ExportMetadata) -> None:
        self.metadata = metadata
        self._network = network
        self._feeder = Feeder(
            metadata.inputs.feeder,
            metadata.layout,
            keeps_gaps=get_pipeline(metadata.inputs.pipeline).keeps_gaps,
        )

    def logits(self, clips: Sequence[Clip]) -> Float32[ndarray, "N K"]:
        """Logits of the K classes for N prepared clips."""
        batches = []
        for start in range(0, len(clips), _BATCH):
            items = list(enumerate(clips[start : start + _BATCH]))
            padded = pad_clips(items, self.metadata.model.max_bodies)
            batches.append(self._network(self._feeder.evaluation_batch(padded).joints.numpy()))
        return np.concatenate(batches)

    def predict(self, clips: Sequence[Clip], *, top: int = 5) -> tuple[Prediction, ...]:
        """The ``top`` likeliest classes of each prepared clip; probabilities are the softmax.

        Raises:
            DataError: There is no clip, or ``top`` is below 1.
        """
        if not clips or top < 1:
            raise DataError(
                f"expected at least one clip and one class, found {len(clips)} clips and top {top}"
            )
        predictions = []
        probabilities = softmax(self.logits(clips))
        for clip, row in zip(clips, probabilities, strict=True):
            likeliest = np.argsort(-row, kind="stable")[:top]
            named = tuple((self.metadata.classes[k], float(row[k])) for k in likeliest)
            predictions.append(Prediction(clip.info.name, named, self.metadata.synthetic))
        return tuple(predictions)


def open_predictor(
    model: Path | str | Checkpoint | ExportedModel, *, trust: bool = False
) -> Predictor:
    """Open whatever can predict: a run folder, a checkpoint, or an exported file.

    Args:
        model: A path, or what was read from one.
        trust: As for :func:`load_exported`; ``.pt2`` files need it.

    Raises:
        CheckpointError: There is no checkpoint, or it is damaged.
        ExportError: An exported file cannot be used.
    """
    if isinstance(model, str | Path):
        path = Path(model)
        if is_exported(path):
            model = load_exported(path, trust=trust)
        else:
            model = read_checkpoint(find_checkpoint(path))
    if isinstance(model, ExportedModel):
        return Predictor(model.logits, model.metadata)
    return Predictor(eager_network(model.build()), describe_checkpoint(model))


def predict(
    model: Path | str | Checkpoint | ExportedModel | Predictor | nn.Module,
    clip: Path | str | Clip | RawClip | Shaped[ndarray, " ..."],
    *,
    top: int = 5,
    names: Sequence[str] = (),
    trust: bool = False,
) -> tuple[Prediction, ...]:
    """Say what a clip shows, by the network of a run, a checkpoint or an exported file.

    Args:
        model: A path, or what was read from one; a plain ``nn.Module`` knows neither its classes
            nor its preprocessing.
        clip: A ``.skeleton``, ``.npy`` or ``.npz`` file or a clip store; a recording, or an array
            of coordinates as recorded (T V C or M T V C), which is preprocessed; or a ``Clip``,
            which is taken as it is.
        top: How many classes to name.
        names: Clips to take from a file that holds several; otherwise all.
        trust: Open a ``.pt2`` file, which can run code of its maker.

    Returns:
        One prediction for each clip, in order.

    Raises:
        CheckpointError: There is no checkpoint, or it is damaged.
        ExportError: An exported file cannot be used.
        DataError: The clip does not fit the network, cannot be read, or nobody is in it.
    """
    if isinstance(model, Predictor):
        predictor = model
    elif isinstance(model, str | Path | Checkpoint | ExportedModel):
        predictor = open_predictor(model, trust=trust)
    else:
        raise ExportError(
            f"predict: expected a path, a checkpoint or an exported model, found a"
            f" {type(model).__name__}, which knows neither its classes nor its preprocessing"
        )
    return predictor.predict(_clips(clip, predictor.metadata, names), top=top)


def _clips(
    clip: Path | str | Clip | RawClip | Shaped[ndarray, " ..."],
    metadata: ExportMetadata,
    names: Sequence[str],
) -> list[Clip]:
    if isinstance(clip, str | Path):
        return read_clips(Path(clip), metadata, names)
    if isinstance(clip, Clip):
        expected = (metadata.layout.num_joints, metadata.model.in_channels)
        if clip.joints.shape[2:] != expected:
            raise DataError(
                f"{clip.info.name}: expected {expected[0]} joints of {metadata.layout.name} with"
                f" {expected[1]} values, found {clip.joints.shape[2]} with {clip.joints.shape[3]}"
            )
        return [clip]
    raw = clip if isinstance(clip, RawClip) else recording(clip, metadata, "clip")
    return [prepare_clip(raw, metadata, "clip", name="clip")]
