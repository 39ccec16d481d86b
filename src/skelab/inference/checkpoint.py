"""Checkpoints: weights, what they belong to, and what training needs to go on, in one file.

A checkpoint is a safetensors file, so that opening one from a stranger never runs code. Tensors
called ``model.…`` are the weights; ``optimizer.…`` and ``average.…`` are there if training can go
on from it. The description stands in the file's metadata as JSON, with a digest of it and of every
tensor.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from skelab.data.feeding.config import FeederConfig
from skelab.errors import CheckpointError
from skelab.files.atomic import atomic_write
from skelab.files.description import read_description
from skelab.files.safetensors_head import check_header
from skelab.fusion import FusionSpec, attach_fuser
from skelab.inference.description import (
    CHECKPOINT_SCHEMA,
    CheckpointDescription,
    TrainerDescription,
    fields_of,
)
from skelab.inference.places import chosen_checkpoint
from skelab.models import ModelSpec, create_model
from skelab.tasks import TaskSpec, get_task

FORMAT: Final = 1
_METADATA_KEY: Final = "skelab"


@dataclass(frozen=True)
class InputSpec:
    """What a network was trained on, and so must be shown.

    Attributes:
        pipeline: Preprocessing of the clips.
        units: Unit of the coordinates.
        dataset: Kind of the data set.
        classes: Name of each class.
        feeder: Stream, window and crops.
        digest: Digest of the store that it was trained on.
        synthetic: The clips were generated.
        split: Split of which the training part trained imported weights, as whoever imported them
            says; empty where nobody said, and where the weights were trained here, whose recipe
            has it.
    """

    pipeline: str
    units: str
    dataset: str
    classes: tuple[str, ...]
    feeder: FeederConfig
    digest: str = ""
    synthetic: bool = False
    split: str = ""

    def to_dict(self) -> dict[str, Any]:
        """The description as a JSON object; without the split where it is not said."""
        found = {**asdict(self), "feeder": self.feeder.model_dump(mode="json")}
        if not self.split:
            del found["split"]
        return found


@dataclass(frozen=True)
class EpochTotals:
    """Sums over the steps of an epoch, over all processes.

    Attributes:
        loss: Loss of the clips.
        sums: Metrics of the task, summed over the clips; say, the number of correct ones.
        clips: Clips that trained.
        seconds: Time.
        data_seconds: Time in which the network waited for clips to be read and shaped.
    """

    loss: float = 0.0
    sums: Mapping[str, float] = field(default_factory=dict)
    clips: int = 0
    seconds: float = 0.0
    data_seconds: float = 0.0


@dataclass(frozen=True)
class TrainerState:
    """Where training stands, so that it can go on bit for bit.

    Data order, augmentation and dropout follow from the seed and this place, so no generator has
    to be kept.

    Attributes:
        epoch: Epoch to go on with, counted from 0.
        step: Step of it to go on with, counted from 0.
        totals: What its steps before that gave.
        best_epoch: Epoch with the best validation result so far; None without validation.
        best_value: That result, of the metric by which the task chooses; None without one.
        micro_batch: Clips that pass through the network at once; None for whole batches.
        optimizer: The optimiser's tensors, flat.
        average: Running average of the weights; empty without one.
        average_steps: Steps that it has taken in.
        scaler: The loss scaler's numbers; empty without one.
    """

    epoch: int = 0
    step: int = 0
    totals: EpochTotals = EpochTotals()
    best_epoch: int | None = None
    best_value: float | None = None
    micro_batch: int | None = None
    optimizer: Mapping[str, Tensor] = field(default_factory=dict)
    average: Mapping[str, Tensor] = field(default_factory=dict)
    average_steps: int = 0
    scaler: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Checkpoint:
    """A trained network and what it belongs to.

    Attributes:
        model: How to build the network.
        inputs: What it must be shown.
        recipe: The whole recipe, YAML text.
        weights: State dict of the network.
        epoch: Epochs that were trained.
        protocol: ``honest`` or ``paper``: how the epoch was chosen.
        trainer: What training needs to go on; None in a checkpoint that is only used.
        task: What the network predicts.
        origin: Where the weights were taken from that training began with; empty if they were
            drawn.
        fusion: How it takes side-cars; None if it takes none.
        digest: Digest of description and tensors; set when loaded.
    """

    model: ModelSpec
    inputs: InputSpec
    recipe: str
    weights: Mapping[str, Tensor]
    epoch: int
    protocol: str
    trainer: TrainerState | None = None
    task: TaskSpec = field(default_factory=TaskSpec)
    digest: str = ""
    origin: Mapping[str, Any] = field(default_factory=dict)
    fusion: FusionSpec | None = None

    def build(self) -> nn.Module:
        """The network with these weights, in eval mode.

        Raises:
            CheckpointError: The weights do not fit the network.
            TaskError: The task is not known here.
        """
        network = build_model(self.model, self.task, self.fusion)
        try:
            network.load_state_dict(dict(self.weights))
        except RuntimeError as error:
            reason = " ".join(str(error).split())[:300]
            raise CheckpointError(f"the weights do not fit {self.model.name}: {reason}") from None
        return network.eval()

    def save(self, path: Path) -> str:
        """Write the file, atomically; returns the digest.

        Raises:
            OutputError: The disk is full or the folder cannot be written.
        """
        tensors = {f"model.{name}": value for name, value in self.weights.items()}
        described = {
            "format": FORMAT,
            "model": asdict(self.model),
            "inputs": self.inputs.to_dict(),
            "recipe": self.recipe,
            "epoch": self.epoch,
            "protocol": self.protocol,
            "task": asdict(self.task),
        }
        if self.origin:
            described["from"] = dict(self.origin)
        if self.fusion is not None:
            described["fusion"] = asdict(self.fusion)
        if self.trainer is not None:
            state = self.trainer
            tensors |= {f"optimizer.{name}": value for name, value in state.optimizer.items()}
            tensors |= {f"average.{name}": value for name, value in state.average.items()}
            described["trainer"] = {
                "epoch": state.epoch,
                "step": state.step,
                "totals": asdict(state.totals),
                "best_epoch": state.best_epoch,
                "best_value": state.best_value,
                "micro_batch": state.micro_batch,
                "average_steps": state.average_steps,
                "scaler": dict(state.scaler),
            }
        tensors = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
        digest = _digest(described, tensors)
        metadata = {_METADATA_KEY: json.dumps({**described, "digest": digest})}
        with atomic_write(path) as temporary:
            temporary.write_bytes(save(tensors, metadata))
        return digest


def build_model(
    spec: ModelSpec, task: TaskSpec | None = None, fusion: FusionSpec | None = None
) -> nn.Module:
    """A freshly initialised network with the head of its task, by default classification.

    With ``fusion`` it takes side-cars; its other weights are those that it would have without.

    Raises:
        ModelError: The family or an option is unknown.
        TaskError: The task or an option is unknown.
    """
    model = create_model(
        spec.name,
        num_classes=spec.num_classes,
        layout=spec.layout,
        in_channels=spec.in_channels,
        max_bodies=spec.max_bodies,
        **spec.options,
    )
    task = task or TaskSpec()
    get_task(task.name, task.options).attach_head(model)
    if fusion is not None:
        attach_fuser(model, fusion)
    return model


def read_checkpoint(path: Path | str) -> Checkpoint:
    """Read a checkpoint, or the one that a run folder has chosen, and verify its digest.

    Raises:
        CheckpointError: There is none, it is damaged, or another kind of file.
    """
    path = chosen_checkpoint(Path(path))
    check_header(path, CheckpointError)
    try:
        with safe_open(str(path), framework="pt") as file:
            text = (file.metadata() or {})[_METADATA_KEY]
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except KeyError:
        raise CheckpointError(
            f"{path}: a safetensors file, but not a checkpoint of ours;"
            " `skelab import-weights` takes the authors' weights"
        ) from None
    except (SafetensorError, OSError, TypeError, ValueError, RuntimeError) as error:
        raise CheckpointError(
            f"{path}: expected a checkpoint, found a damaged or foreign file ({error})"
        ) from None
    where = f"{path}: its description is damaged"
    described = read_description(text, CHECKPOINT_SCHEMA, where, CheckpointError)
    written = {key: value for key, value in json.loads(text).items() if key != "digest"}
    if described.digest != _digest(written, tensors):
        raise CheckpointError(f"{path}: damaged: its content does not match its digest")
    try:
        return _assemble(described, tensors)
    except KeyError as error:
        raise CheckpointError(f"{where}: tensors of an unknown kind {error}") from None


def load_checkpoint(path: Path | str) -> nn.Module:
    """The trained network of a checkpoint or a run folder, in eval mode.

    Raises:
        CheckpointError: There is no checkpoint, it is damaged, or another kind of file.
    """
    return read_checkpoint(path).build()


def _assemble(described: CheckpointDescription, tensors: Mapping[str, Tensor]) -> Checkpoint:
    """The checkpoint that a description and tensors are.

    Raises:
        KeyError: A tensor is of no group that a checkpoint has.
    """
    groups: dict[str, dict[str, Tensor]] = {"model": {}, "optimizer": {}, "average": {}}
    for name, value in tensors.items():
        group, _, rest = name.partition(".")
        groups[group][rest] = value
    return Checkpoint(
        model=described.model.spec,
        inputs=InputSpec(**fields_of(described.inputs)),
        recipe=described.recipe,
        weights=groups["model"],
        epoch=described.epoch,
        protocol=described.protocol,
        trainer=None if described.trainer is None else _trainer_state(described.trainer, groups),
        task=described.task.spec,
        digest=described.digest,
        origin=described.origin,
        fusion=None if described.fusion is None else described.fusion.spec,
    )


def _trainer_state(
    described: TrainerDescription, groups: Mapping[str, Mapping[str, Tensor]]
) -> TrainerState:
    """Where training stands; before tasks had metrics, ``best_value`` was -1 without one."""
    written, totals = fields_of(described), fields_of(described.totals)
    if (correct := totals.pop("correct")) is not None:
        totals["sums"] = {"top1": float(correct)}
    if described.best_epoch is None:
        written["best_value"] = None
    written["totals"] = EpochTotals(**totals)
    return TrainerState(**written, optimizer=groups["optimizer"], average=groups["average"])


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """The state of an optimiser as flat tensors, ``<parameter number>.<name>``."""
    state = optimizer.state_dict()["state"]
    return {
        f"{number}.{name}": torch.as_tensor(value)
        for number, entries in state.items()
        for name, value in entries.items()
        if value is not None
    }


def restore_optimizer(optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Put back what :func:`optimizer_tensors` took."""
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        number, _, name = key.partition(".")
        state.setdefault(int(number), {})[name] = value
    optimizer.load_state_dict({**optimizer.state_dict(), "state": state})


def _digest(described: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> str:
    digest = hashlib.blake2b(json.dumps(described, sort_keys=True).encode(), digest_size=16)
    for name in sorted(tensors):
        value = tensors[name].contiguous()
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}\n".encode())
        digest.update(value.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
