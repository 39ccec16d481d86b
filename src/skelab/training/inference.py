"""Logits for the clips of a source, in batches."""

from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from accelerate import Accelerator
from jaxtyping import Float32, Int64
from numpy import ndarray
from torch import nn
from torch.utils.data import DataLoader

from skelab.data.dataset import ClipDataset, ClipSource, pad_clips
from skelab.data.feeder import Feeder


def predict_logits(
    model: nn.Module,
    feeder: Feeder,
    source: ClipSource,
    rows: Int64[ndarray, " N"],
    *,
    max_bodies: int,
    batch_size: int = 64,
    workers: int = 0,
    accelerator: Accelerator | None = None,
    on_scored: Callable[[int, int], None] | None = None,
) -> Float32[ndarray, "N K"]:
    """Score rows of a source, in the order given.

    The model is in eval mode meanwhile and afterwards in the mode it was in. Without an
    accelerator it is used where it lies, in its own precision.
    """
    device = accelerator.device if accelerator else next(model.parameters()).device
    loader = DataLoader(
        ClipDataset(source, rows),
        batch_size=batch_size,
        collate_fn=partial(pad_clips, max_bodies=max_bodies),
        num_workers=workers,
    )
    logits: list[Float32[ndarray, "B K"]] = []
    was_training = model.training
    model.eval()
    try:
        with torch.inference_mode():
            for clips in loader:
                batch = feeder.evaluation_batch(clips.to(device))
                if accelerator:
                    with accelerator.autocast():
                        outputs = model(batch.joints)
                else:
                    outputs = model(batch.joints)
                logits.append(outputs.float().cpu().numpy())
                if on_scored:
                    on_scored(sum(map(len, logits)), len(rows))
    finally:
        model.train(was_training)
    return np.concatenate(logits)
