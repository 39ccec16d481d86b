"""One door to trained networks: whatever file they are in, whatever computes them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Final

import numpy as np
import torch
from jaxtyping import Float, Float32, Int64
from numpy import ndarray
from torch import Tensor, nn

from skelab.data.clips.clip import Clip
from skelab.data.clips.index import UNKNOWN
from skelab.data.clips.opened_clips import OpenedClips
from skelab.data.feeding.batch import Batch
from skelab.data.feeding.dataset import PaddedClips, pad_clips
from skelab.data.feeding.feeder import Feeder
from skelab.data.feeding.side_cars import SideCarReader
from skelab.errors import DataError, ExportError, NetworkError
from skelab.evaluation import (
    RATIOS,
    EarlyProtocol,
    EarlyScores,
    OutputScores,
    Scores,
    ScoresInfo,
    at_ratios,
    softmax,
)
from skelab.inference.checkpoint import Checkpoint
from skelab.inference.engines import EngineOptions, Forward, choose_engine, load_network
from skelab.inference.files import NetworkFile, read_network_file
from skelab.inference.scoring import score_batches
from skelab.inference.spec import NetworkSpec
from skelab.inference.stream import NetworkStream
from skelab.tasks import (
    CLASS_TASKS,
    EarlyFramesTask,
    ScoredClips,
    Task,
    get_task,
    model_input,
)

_BATCH: Final = 16
_MEMORY: Final = Path("checkpoint")  # what to call one that came from no file


@dataclass(frozen=True)
class Prediction:
    """The classes that a clip most likely shows.

    Attributes:
        clip: Name of the clip.
        top: The likeliest classes with their probabilities, the likeliest first.
        synthetic: The network was trained on clips that a program has made, so that this says
            nothing about people.
        truth: The class that the clip is labelled with; None where it has no label, or one that
            is not among the network's classes.
    """

    clip: str
    top: tuple[tuple[str, float], ...]
    synthetic: bool = False
    truth: str | None = None

    @property
    def label(self) -> str:
        """The likeliest class."""
        return self.top[0][0]


@dataclass(frozen=True)
class ClipSampling:
    """Which test clips of a clip are scored.

    Attributes:
        clips: How many, of other frames each.
        mirrored: Whether their mirror images are scored, too.
    """

    clips: int = 1
    mirrored: bool = False


ONE_TEST_CLIP: Final = ClipSampling()
"""A clip is scored once, from evenly spread frames."""


@dataclass(frozen=True)
class Network:
    """A trained network, ready to compute on the CPU; made by :func:`open_network`.

    Attributes:
        path: The file that it came from.
        spec: What it must be shown, and what its outputs mean.
        engine: What computes it.
        side_cars: Reads the side-cars of clips, for fused networks; None serves clips without.
    """

    path: Path
    spec: NetworkSpec
    engine: str
    _forward: Forward = field(repr=False)
    _build: Callable[[], nn.Module] | None = field(default=None, repr=False)
    side_cars: SideCarReader | None = field(default=None, repr=False)

    def logits(
        self, batch: Float[ndarray, "N C T V M"] | Float[Tensor, "N C T V M"]
    ) -> Float32[ndarray, "N ..."]:
        """Logits of the K classes for N clips, shaped as the feeder shapes them.

        Networks of the task ``early-frames`` give logits at each frame, N T K.

        Raises:
            NetworkError: The clips have other axes, frames, joints or bodies than the network
                takes, or numbers that are not finite.
        """
        joints = np.asarray(batch)
        self.spec.check_input(joints, str(self.path))
        return self._forward(joints.astype(np.float32, copy=False))

    def with_side_cars(self, side_cars: SideCarReader) -> "Network":
        """The same network, which is shown the side-cars of the clips too.

        Raises:
            NetworkError: The network takes none.
        """
        if self.spec.fusion is None or self._build is None:
            raise NetworkError(
                f"{self.path}: was trained on skeletons alone and takes no side-cars; `skelab train"
                " RECIPE --side-car FILE` trains one that does"
            )
        return replace(self, side_cars=side_cars)

    def _batch_logits(self, batch: Batch) -> Float32[ndarray, "N ..."]:
        """Logits of a batch, with its side-cars where there are any."""
        if batch.side_cars is None:
            return self.logits(batch.joints)
        self.spec.check_input(np.asarray(batch.joints), str(self.path))
        with torch.inference_mode():
            found: Float32[ndarray, "N ..."] = self._module(model_input(batch)).float().numpy()
        return found

    @cached_property
    def _module(self) -> nn.Module:
        """The network in PyTorch; only networks that have one are shown side-cars."""
        if self._build is None:
            raise RuntimeError("an exported network is never shown side-cars")
        return self._build()

    def stream(self) -> NetworkStream:
        """A stream that is shown frame after frame, and answers after each.

        It computes in PyTorch whatever the engine. Several streams of one network share nothing.

        Raises:
            NetworkError: The file holds a graph of whole clips; or the stream or preprocessing of
                the network needs later frames.
            ModelError: The network looks ahead; the message says what to do instead.
        """
        if self._build is None:
            raise NetworkError(
                f"{self.path}: an exported graph takes whole clips; open the run or the checkpoint"
                " that it was exported from to stream"
            )
        return NetworkStream(self.spec, self._build(), str(self.path))

    def predict(self, clips: Sequence[Clip], *, top: int = 5) -> tuple[Prediction, ...]:
        """The ``top`` likeliest classes of each prepared clip; probabilities are the softmax.

        Raises:
            NetworkError: The network predicts something else than classes.
            DataError: There is no clip, or ``top`` is below 1.
        """
        if self.spec.task.name not in CLASS_TASKS:
            raise NetworkError(
                f"{self.path}: its task is {self.spec.task.name}; only classification names classes"
            )
        if not clips or top < 1:
            raise DataError(
                f"expected at least one clip and one class, found {len(clips)} clips and top {top}"
            )
        batches = [clips[start : start + _BATCH] for start in range(0, len(clips), _BATCH)]
        logits = [
            self._logits_of(pad_clips(list(enumerate(batch)), self.spec.max_bodies))
            for batch in batches
        ]
        classes, predictions = self.spec.classes, []
        for clip, row in zip(clips, softmax(np.concatenate(logits)), strict=True):
            likeliest = np.argsort(-row, kind="stable")[:top]
            named = tuple((classes[k], float(row[k])) for k in likeliest)
            label = clip.info.label
            truth = classes[label] if label is not None and 0 <= label < len(classes) else None
            predictions.append(Prediction(clip.info.name, named, self.spec.synthetic, truth))
        return tuple(predictions)

    def scores(
        self,
        store: OpenedClips,
        rows: Int64[ndarray, " N"],
        *,
        split: str,
        part: str,
        batch_size: int = 64,
        test_clips: ClipSampling = ONE_TEST_CLIP,
        on_scored: Callable[[int, int], None] | None = None,
    ) -> Scores | OutputScores:
        """Scores of rows of a store, in the order given, of the kind that the task gives.

        Args:
            store: The clips.
            rows: Which of them.
            split: Name of the benchmark split that the rows are from.
            part: ``test``, ``validation`` or ``train``.
            batch_size: Clips at once.
            test_clips: Of each clip, whose probabilities are averaged; the scores are then the
                logarithms of the mean.
            on_scored: Called with the clips that are done, and all clips.

        Raises:
            CheckpointError: The clips differ in kind from those that the network was trained on.
            DataError: Several test clips are asked of a network whose window is not sampled.
            NetworkError: Several test clips are asked of a network that names no classes.
            ScoresError: A clip lacks the label that the task needs, or a logit is not finite.
        """
        self.spec.check_store(store.info, store.path, str(self.path))
        several = test_clips != ONE_TEST_CLIP
        if several and (self.spec.task.name not in CLASS_TASKS or self.answers_per_frame):
            raise NetworkError(
                f"{self.path}: its task is {self.spec.task.name}; only classification averages"
                " test clips"
            )

        def forward(clips: PaddedClips) -> tuple[ndarray, ndarray]:
            if several:
                batches = list(
                    self._feeder.test_batches(clips, test_clips.clips, mirrored=test_clips.mirrored)
                )
                shares = [softmax(self.logits(batch.joints)) for batch in batches]
                mean = np.mean(shares, axis=0, dtype=np.float64)
                logits = np.log(np.maximum(mean, np.finfo(np.float32).tiny)).astype(np.float32)
                return logits, self.task.targets(batches[0]).numpy()
            batch = self._feeder.evaluation_batch(clips)
            return self._batch_logits(batch), self.task.targets(batch).numpy()

        parts = score_batches(
            forward,
            store,
            rows,
            max_bodies=self.spec.max_bodies,
            batch_size=batch_size,
            on_scored=on_scored,
        )
        scored = self._scored_clips(store, rows, split=split, part=part)
        outputs, targets = zip(*parts, strict=True)
        return self.task.scores(np.concatenate(outputs), np.concatenate(targets), scored)

    def early_scores(
        self,
        store: OpenedClips,
        rows: Int64[ndarray, " N"],
        *,
        split: str,
        part: str,
        protocol: EarlyProtocol = EarlyProtocol.P1,
        batch_size: int = 64,
        on_scored: Callable[[int, int], None] | None = None,
    ) -> EarlyScores:
        """Scores of rows of a store at 10, 20, … 100 % of each clip, in the given order.

        Args:
            store: The clips.
            rows: Which of them.
            split: Name of the benchmark split that the rows are from.
            part: ``test``, ``validation`` or ``train``.
            protocol: ``P1`` truncates each clip before all transforms; ``P2`` reads the frames of
                a network that classifies each.
            batch_size: Clips at once.
            on_scored: Called with the clips that are done, and all clips.

        Raises:
            CheckpointError: The clips differ in kind from those that the network was trained on.
            NetworkError: The network names no classes, or, for ``P2``, not at each frame.
            ScoresError: A clip has no label, or a logit is not finite.
        """
        self.spec.check_store(store.info, store.path, str(self.path))
        self._check_protocol(protocol)

        def forward(clips: PaddedClips) -> tuple[ndarray, ndarray]:
            found = self._at_ratios(clips, protocol)
            return found, clips.labels.numpy()

        parts = score_batches(
            forward,
            store,
            rows,
            max_bodies=self.spec.max_bodies,
            batch_size=batch_size,
            on_scored=on_scored,
        )
        scored = self._scored_clips(store, rows, split=split, part=part)
        outputs, labels = (np.concatenate(column) for column in zip(*parts, strict=True))
        frames = None
        if protocol is EarlyProtocol.P2:
            frames = float((outputs.argmax(axis=2) == labels[:, None]).mean())
            outputs = at_ratios(outputs)
        return EarlyScores(
            scored.names, labels, outputs, RATIOS, scored.classes, scored.info, protocol, frames
        )

    def _check_protocol(self, protocol: EarlyProtocol) -> None:
        """Refuse what cannot be scored early under a protocol."""
        if self.spec.task.name not in CLASS_TASKS:
            raise NetworkError(
                f"{self.path}: its task is {self.spec.task.name}; early recognition needs a network"
                " that predicts classes"
            )
        if protocol is EarlyProtocol.P2 and not self.answers_per_frame:
            raise NetworkError(
                f"{self.path}: classifies whole clips, not each frame; train a causal network:"
                " --set task.name=early-frames --set model.causal=true"
            )

    @property
    def answers_per_frame(self) -> bool:
        """Whether the network gives logits at each frame."""
        return self.spec.task.name == EarlyFramesTask.name

    def _at_ratios(self, clips: PaddedClips, protocol: EarlyProtocol) -> Float32[ndarray, "N R K"]:
        """Logits at each observed share (P1), or at each frame (P2)."""
        if protocol is EarlyProtocol.P2:
            return self._batch_logits(self._feeder.evaluation_batch(clips))
        found = []
        for share in RATIOS:
            logits = self._batch_logits(self._feeder.evaluation_batch(clips, share=share))
            found.append(logits[:, -1] if self.answers_per_frame else logits)
        return np.stack(found, axis=1)

    def _scored_clips(
        self, store: OpenedClips, rows: Int64[ndarray, " N"], *, split: str, part: str
    ) -> ScoredClips:
        """The clips of some rows as their scores are recorded: names, classes, groups, origin."""
        index = store.index.select(rows)
        columns = {"subject": index.subjects, "camera": index.cameras, "setup": index.setups}
        return ScoredClips(
            names=index.names,
            classes=store.info.classes,
            info=ScoresInfo(
                dataset=store.info.dataset,
                split=split,
                part=part,
                protocol=self.spec.protocol,
                model=self.spec.model.name,
                stream=self.spec.stream,
                checkpoint=self.spec.digest,
                synthetic=store.info.synthetic or self.spec.synthetic,
                unknown_training=not self.spec.knows_training_part,
                engine=self.engine,
            ),
            groups={name: column for name, column in columns.items() if (column != UNKNOWN).any()},
        )

    @cached_property
    def task(self) -> Task:
        """What the network predicts.

        Raises:
            TaskError: The task is not known here.
        """
        return get_task(self.spec.task.name, self.spec.task.options)

    @cached_property
    def _feeder(self) -> Feeder:
        return self.spec.make_feeder(self.side_cars)

    def _logits_of(self, clips: PaddedClips) -> Float32[ndarray, "N K"]:
        logits = self._batch_logits(self._feeder.evaluation_batch(clips))
        return logits[:, -1] if self.answers_per_frame else logits


def open_network(
    source: Path | str | Checkpoint | NetworkFile | nn.Module,
    *,
    engine: str | None = None,
    trust: bool = False,
    threads: int | None = None,
    precision: str = "fp32",
) -> Network:
    """Open a trained network: a run folder, a checkpoint, or a file of ``skelab export``.

    Checkpoints, ONNX and OpenVINO files hold numbers and the names of operators: opening one from
    a stranger runs no code of theirs. A ``.pt2`` file is read by ``torch.export.load``, which
    unpickles and evaluates parts of it, so that it can do anything on this machine.

    Args:
        source: A path (``.onnx``; ``.xml`` with its ``.bin`` beside it; ``.pt2``; anything else is
            a checkpoint or a run folder), or what was read from one. A plain ``nn.Module`` knows
            neither its classes nor its preprocessing, and is refused.
        engine: What computes it: ``torch`` or ``native`` for checkpoints, ``torch`` for ``.pt2``
            files, ``onnxruntime`` or ``openvino`` for ``.onnx`` files, ``openvino`` for ``.xml``
            files. None takes the first of these that is installed, and so ``torch`` for a
            checkpoint: the very computation that validated it. ``fastest`` takes the fastest that
            gives the same answer within rounding.
        trust: Open a ``.pt2`` file, since it comes from somebody whom you trust.
        threads: Threads to compute with; None leaves it to the engine. PyTorch has one number for
            the whole process.
        precision: ``fp32``, or ``bf16`` where the engine computes in it.

    Raises:
        CheckpointError: There is no checkpoint, or it is damaged.
        ExportError: An exported file is missing, damaged or of another maker, or it is a ``.pt2``
            file and ``trust`` was not given.
        NetworkError: The engine is unknown or not installed, or does not run such a file; or
            ``source`` is no network.
    """
    file = _read(source)
    chosen = choose_engine(file, engine)
    if file.kind == "torch" and not trust:
        raise ExportError(
            f"{file.path}: opening a .pt2 file can run any code that its maker put into it; give"
            " --trust (in Python, trust=True) if you made it or trust whoever did. .onnx and .xml"
            " files need no trust"
        )
    forward = load_network(file, chosen, EngineOptions(threads, precision))
    build = None if file.checkpoint is None else file.checkpoint.build
    return Network(file.path, file.spec, chosen.name, forward, build)


def _read(source: Path | str | Checkpoint | NetworkFile | nn.Module) -> NetworkFile:
    if isinstance(source, str | Path):
        return read_network_file(Path(source))
    if isinstance(source, Checkpoint):
        return NetworkFile(_MEMORY, NetworkSpec.of_checkpoint(source), source)
    if isinstance(source, nn.Module):
        raise NetworkError(
            f"expected a path, a checkpoint or an opened network, found a {type(source).__name__},"
            " which knows neither its classes nor its preprocessing"
        )
    return source
