"""Mixup: a transform that mixes pairs of clips of a batch, with their labels."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch

from skelab.data.feeding.batch import Batch, MixedLabels
from skelab.data.feeding.chance import Chance, draw_seed
from skelab.data.feeding.transforms.protocol import ClipFacts, Need
from skelab.errors import DataError


class MixedIn(NamedTuple):
    """The clip that is mixed into another.

    Attributes:
        row: Row of the other clip in its source.
        weight: Its share, up to 0.5.
    """

    row: int
    weight: float


@dataclass(frozen=True)
class Mix:
    """Mixup: each clip becomes the weighted mean of itself and another clip of the batch.

    A clip x with weight w of the other clip y becomes (1 - w) x + w y, and so does its target. The
    other clip is a random one of the batch; a batch of one clip is not mixed. With several
    processes clips are mixed within a process.

    Attributes:
        alpha: Weights follow Beta(alpha, alpha); the other clip gets the smaller share, which
            yields the same pairs.
        probability: Share of the clips that are mixed.

    Source: arXiv:1710.09412.
    """

    name: ClassVar[str] = "mix"
    needs: ClassVar[tuple[Need, ...]] = ()
    draws: ClassVar[int] = 3

    alpha: float = 0.2
    probability: float = 1.0

    def sample(self, facts: ClipFacts, rng: Chance) -> MixedIn | None:
        """Choose the other clip and its weight."""
        others = [row for row in facts.company if row != facts.row]
        if rng.random() >= self.probability or not others:
            return None
        row = others[int(rng.random() * len(others))]
        share = float(np.random.default_rng(draw_seed(rng)).beta(self.alpha, self.alpha))
        return MixedIn(row, min(share, 1 - share))

    def apply(self, batch: Batch, drawn: Sequence[Sequence[Any] | None]) -> Batch:
        """Mix the clips, and record the mixed labels.

        Raises:
            DataError: A clip that is to be mixed in is not in the batch.
        """
        joints = batch.joints
        places = {row: place for place, row in enumerate(batch.rows)}
        pairs = []
        for place, (own, chosen) in enumerate(zip(batch.rows, drawn, strict=True)):
            row, weight = (own, 0.0) if chosen is None else chosen
            if row not in places:
                raise DataError(f"clip {own} was mixed with clip {row}, which is not in the batch")
            pairs.append((place if chosen is None else places[row], weight))
        other = torch.as_tensor([place for place, _ in pairs], device=joints.device)
        weights = torch.as_tensor(
            [weight for _, weight in pairs], dtype=joints.dtype, device=joints.device
        )
        share = weights[:, None, None, None, None]
        mixed = torch.where(share > 0, joints * (1 - share) + joints[other] * share, joints)
        return replace(batch, joints=mixed, mixed=MixedLabels(batch.labels[other], weights))
