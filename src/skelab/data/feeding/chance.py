"""Random draws per clip, for augmentation: reproducible, and independent of the batch.

One generator per clip would cost more than the augmentation itself. Instead an epoch has a table of
uniform numbers with one row per clip, filled by one generator. Each transform that is listed in
``data.transforms`` has its own table, also seeded by its name, so that adding a transform does not
change the draws of the others.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
from jaxtyping import Float64
from numpy import ndarray

DRAWS_PER_CLIP: Final = 6
"""Draws per clip: two for the crop, three for the rotation, one for the limbs."""


class ClipChance:
    """The random draws of one clip, with methods of ``numpy.random.Generator``.

    Args:
        uniforms: Uniform numbers in [0, 1), used in order.
    """

    def __init__(self, uniforms: Sequence[float]) -> None:
        self._uniforms = iter(uniforms)
        self._count = len(uniforms)

    def random(self) -> float:
        """A uniform number in [0, 1).

        Raises:
            IndexError: All draws of the clip are used up.
        """
        for uniform in self._uniforms:
            return uniform
        raise IndexError(f"a clip has {self._count} draws per epoch, and all were used")

    def integers(self, low: int, high: int) -> int:
        """A whole number from ``low`` to ``high`` - 1."""
        return low + int(self.random() * (high - low))

    def uniform(self, low: float, high: float, size: int) -> list[float]:
        """Uniform numbers in [low, high)."""
        return [low + (high - low) * self.random() for _ in range(size)]


class EpochChance:
    """The random draws of all clips in every epoch.

    They depend only on seed, epoch and the clip's row, not on batch, process or resumption.

    Args:
        draws: Uniform numbers per clip.
        name: Name of the table; tables of different names are independent.
    """

    def __init__(self, draws: int = DRAWS_PER_CLIP, *, name: str = "") -> None:
        self._name = (int.from_bytes(name.encode(), "big"),) if name else ()
        self._epoch: tuple[int, int] | None = None
        self._table: Float64[ndarray, "rows draws"] = np.empty((0, draws))

    def of_clips(self, *, seed: int, epoch: int, rows: Sequence[int]) -> list[ClipChance]:
        """The draws of the clips of these rows."""
        needed = max(rows) + 1
        if self._epoch != (seed, epoch) or len(self._table) < needed:
            size = 1 << max(needed - 1, len(self._table) - 1).bit_length()
            generator = np.random.default_rng((seed, epoch, *self._name))
            # Longer seeds share the beginning.
            self._table = generator.random((size, self._table.shape[1]))
            self._epoch = (seed, epoch)
        return [ClipChance(uniforms) for uniforms in self._table[list(rows)].tolist()]


Chance = np.random.Generator | ClipChance
"""A source of random draws for a transform."""


def draw_seed(rng: Chance) -> int:
    """A seed for the clip's own generator, from one draw; for transforms that need many."""
    return int(rng.random() * 2**53)
