"""Logits for the clips of a source, in batches."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float32, Int64, Shaped
from numpy import ndarray
from torch import Tensor, nn
from torch.utils.data import DataLoader

from skelab.data.feeding.batch import Batch
from skelab.data.feeding.dataset import ClipDataset, ClipSource, PaddedClips, pad_clips, read_ahead
from skelab.data.feeding.feeder import Feeder
from skelab.tasks import model_input


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
    """The outputs of a network in training for rows of a source, in the order given.

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
    ratios: Sequence[float] = (),
) -> tuple[Float32[ndarray, "N ..."], Shaped[ndarray, "N ..."]]:
    """As :func:`predict_logits`, and what ``targets_of`` makes of the same batches.

    With ``ratios`` each clip is scored once per observed share, and the outputs are N R K.
    """
    own = rows if processes is None else processes.own(rows)
    device = engine.device if engine else next(model.parameters()).device

    def forward(clips: PaddedClips) -> tuple[ndarray, ndarray]:
        clips = clips.to(device)
        batches = [feeder.evaluation_batch(clips, share=share) for share in ratios or (1.0,)]
        with engine.autocast() if engine else nullcontext():
            found = [model(model_input(batch)).float().cpu().numpy() for batch in batches]
        outputs = np.stack(found, axis=1) if ratios else found[0]
        return outputs, targets_of(batches[-1]).cpu().numpy()

    with _evaluation_mode(model), torch.inference_mode():
        parts = score_batches(
            forward,
            source,
            own,
            max_bodies=max_bodies,
            batch_size=batch_size,
            workers=workers,
            on_scored=on_scored,
        )
    gathered = [parts] if processes is None else processes.gather(parts)
    outputs, targets = zip(*(pair for parts in gathered for pair in parts), strict=True)
    return np.concatenate(outputs), np.concatenate(targets)


@contextmanager
def _evaluation_mode(model: nn.Module) -> Iterator[None]:
    """Put a model into evaluation mode, and back into its former mode afterwards."""
    was_training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(was_training)


def score_batches(
    forward: Callable[[PaddedClips], tuple[ndarray, ndarray]],
    source: ClipSource,
    rows: Int64[ndarray, " N"],
    *,
    max_bodies: int,
    batch_size: int,
    workers: int = 0,
    on_scored: Callable[[int, int], None] | None = None,
) -> list[tuple[Float32[ndarray, "B ..."], Shaped[ndarray, "B ..."]]]:
    """Outputs and targets of each batch of rows, read ahead by ``workers`` processes."""
    loader = DataLoader(
        ClipDataset(source, rows),
        batch_size=batch_size,
        collate_fn=partial(pad_clips, max_bodies=max_bodies),
        num_workers=workers,
    )
    parts: list[tuple[ndarray, ndarray]] = []
    for clips in read_ahead(loader):
        parts.append(forward(clips))
        if on_scored:
            on_scored(sum(len(outputs) for outputs, _ in parts), len(rows))
    return parts
