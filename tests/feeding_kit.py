"""Batches and facts of clips for the tests of transforms."""

from collections.abc import Sequence

import torch
from torch import Tensor

from skelab.data.feeding.batch import Batch
from skelab.data.feeding.transforms import ClipFacts
from skelab.skeleton import Layout, get_layout

SBU15 = get_layout("sbu15")


def facts_of(
    frames: int,
    *,
    window: int = 64,
    row: int = 0,
    layout: Layout = SBU15,
    company: Sequence[int] = (0, 1, 2),
) -> ClipFacts:
    """What a transform knows of a clip of one body whose frames are all valid."""
    return ClipFacts(
        row=row,
        name=f"clip{row}",
        label=0,
        frames=frames,
        valid=frames,
        bodies=1,
        window=window,
        layout=layout,
        company=tuple(company),
    )


def batch_of(joints: Tensor) -> Batch:
    """A batch of these joints, N C T V M; rows and labels count from 0."""
    clips = len(joints)
    return Batch(joints, torch.arange(clips), tuple(range(clips)))


def random_batch(
    *, clips: int = 2, axes: int = 3, frames: int = 12, joints: int = 15, bodies: int = 2
) -> Batch:
    """A batch of random joints, always the same."""
    generator = torch.Generator().manual_seed(0)
    return batch_of(torch.randn(clips, axes, frames, joints, bodies, generator=generator))
