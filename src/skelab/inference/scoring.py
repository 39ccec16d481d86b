"""Logits for the clips of a source, in batches."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float32, Int64, Shaped
from numpy import ndarray
from torch import Tensor, nn
from torch.utils.data import DataLoader

from skelab.data.feeding.dataset import ClipDataset, ClipSource, pad_clips
from skelab.data.feeding.feeder import Batch, Feeder


@runtime_checkable
class ForwardPrecision(Protocol):
    """Where and in which number format a network computes; an engine of training is one."""

    @property
    def device(self) -> torch.device:
        """Where the network lies."""

    def autocast(self) -> AbstractContextManager[object]:
        """In this block the forward pass computes in the format."""


@runtime_checkable
class ProcessGroup(Protocol):
    """Processes that share the rows between them."""

    def own(self, values: Any) -> Any:
        """This process's share of the rows."""

    def gather(self, value: Any) -> list[Any]:
        """What each process has, in all of them."""


def predict_logits(
    model: nn.Module,
    feeder: Feeder,
    source: ClipSource,
    rows: Int64[ndarray, " N"],
    *,
    max_bodies: int,
    batch_size: int = 64,
    workers: int = 0,
    engine: ForwardPrecision | None = None,
    processes: ProcessGroup | None = None,
    on_scored: Callable[[int, int], None] | None = None,
) -> Float32[ndarray, "N ..."]:
    """The outputs of a network for rows of a source, in the order given.

    The model is in eval mode meanwhile and afterwards in the mode it was in. Without an engine it
    is used where it lies, in its own precision. Where processes share the work, each scores its
    part, and all get the scores of all.
    """
    outputs, _ = predict_with_targets(
        model,
        feeder,
        source,
        rows,
        lambda batch: batch.labels,
        max_bodies=max_bodies,
        batch_size=batch_size,
        workers=workers,
        engine=engine,
        processes=processes,
        on_scored=on_scored,
    )
    return outputs


def predict_with_targets(
    model: nn.Module,
    feeder: Feeder,
    source: ClipSource,
    rows: Int64[ndarray, " N"],
    targets_of: Callable[[Batch], Shaped[Tensor, "N ..."]],
    *,
    max_bodies: int,
    batch_size: int = 64,
    workers: int = 0,
    engine: ForwardPrecision | None = None,
    processes: ProcessGroup | None = None,
    on_scored: Callable[[int, int], None] | None = None,
) -> tuple[Float32[ndarray, "N ..."], Shaped[ndarray, "N ..."]]:
    """As :func:`predict_logits`, and what ``targets_of`` makes of the same batches."""
    own = rows if processes is None else processes.own(rows)
    device = engine.device if engine else next(model.parameters()).device
    loader = DataLoader(
        ClipDataset(source, own),
        batch_size=batch_size,
        collate_fn=partial(pad_clips, max_bodies=max_bodies),
        num_workers=workers,
    )
    outputs: list[ndarray] = []
    targets: list[ndarray] = []
    was_training = model.training
    model.eval()
    try:
        with torch.inference_mode():
            for clips in loader:
                batch = feeder.evaluation_batch(clips.to(device))
                with engine.autocast() if engine else nullcontext():
                    found = model(batch.joints)
                outputs.append(found.float().cpu().numpy())
                targets.append(targets_of(batch).cpu().numpy())
                if on_scored:
                    on_scored(sum(map(len, outputs)), len(own))
    finally:
        model.train(was_training)
    return _of_all(outputs, processes), _of_all(targets, processes)


def _of_all(parts: list[ndarray], processes: ProcessGroup | None) -> ndarray:
    """The parts of all processes as one array."""
    gathered = [parts] if processes is None else processes.gather(parts)
    return np.concatenate([part for parts in gathered for part in parts])
