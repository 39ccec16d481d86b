"""Logits for the clips of a source, in batches."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float32, Int64
from numpy import ndarray
from torch import nn
from torch.utils.data import DataLoader

from skelab.data.feeding.dataset import ClipDataset, ClipSource, pad_clips, read_ahead
from skelab.data.feeding.feeder import Feeder


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
) -> Float32[ndarray, "N K"]:
    """Score rows of a source, in the order given.

    The model is in eval mode meanwhile and afterwards in the mode it was in. Without an engine it
    is used where it lies, in its own precision. Where processes share the work, each scores its
    part, and all get the scores of all.
    """
    own = rows if processes is None else processes.own(rows)
    device = engine.device if engine else next(model.parameters()).device
    loader = DataLoader(
        ClipDataset(source, own),
        batch_size=batch_size,
        collate_fn=partial(pad_clips, max_bodies=max_bodies),
        num_workers=workers,
    )
    parts: list[Float32[ndarray, "B K"]] = []
    was_training = model.training
    model.eval()
    try:
        with torch.inference_mode():
            for clips in read_ahead(loader):
                batch = feeder.evaluation_batch(clips.to(device))
                with engine.autocast() if engine else nullcontext():
                    outputs = model(batch.joints)
                parts.append(outputs.float().cpu().numpy())
                if on_scored:
                    on_scored(sum(map(len, parts)), len(own))
    finally:
        model.train(was_training)
    gathered = [parts] if processes is None else processes.gather(parts)
    return np.concatenate([part for parts in gathered for part in parts])
