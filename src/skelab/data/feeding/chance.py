"""Random draws per clip, for augmentation: reproducible, and independent of the batch.

A generator for each clip would cost more than all that is done with its draws. Instead an epoch
has a table of uniform numbers, a row for each clip, filled by one generator. Transforms that are
listed in ``data.transforms`` each have a table of their own, seeded with their name as well, so
that adding one does not change what the others draw.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
from jaxtyping import Float64
from numpy import ndarray

DRAWS_PER_CLIP: Final = 6
"""A crop takes two draws, a rotation three, the limbs one."""


class ClipChance:
    """The draws of one clip, with the methods of ``numpy.random.Generator``.

    Args:
        uniforms: Numbers that are uniform in [0, 1), used one after the other.
    """

    def __init__(self, uniforms: Sequence[float]) -> None:
        self._uniforms = iter(uniforms)
        self._count = len(uniforms)

    def random(self) -> float:
        """A number from [0, 1).

        Raises:
            IndexError: All draws of the clip are used up.
        """
        for uniform in self._uniforms:
            return uniform
        raise IndexError(f"a clip has {self._count} draws an epoch, and all were used")

    def integers(self, low: int, high: int) -> int:
        """A whole number from ``low`` to ``high`` - 1."""
        return low + int(self.random() * (high - low))

    def uniform(self, low: float, high: float, size: int) -> list[float]:
        """So many numbers from [low, high)."""
        return [low + (high - low) * self.random() for _ in range(size)]


class EpochChance:
    """The draws of all clips, one epoch after the other.

    What a clip draws depends on seed, epoch and its row only, so it is the same whatever batch,
    process or restart the clip finds itself in.

    Args:
        draws: Uniform numbers for each clip.
        name: Names a table of its own; tables of different names are independent.
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
            # Longer ones begin alike.
            self._table = generator.random((size, self._table.shape[1]))
            self._epoch = (seed, epoch)
        return [ClipChance(uniforms) for uniforms in self._table[list(rows)].tolist()]


Chance = np.random.Generator | ClipChance
"""What a transform draws from."""


def draw_seed(rng: Chance) -> int:
    """A seed for a generator of the clip's own, from one draw; for transforms that need many."""
    return int(rng.random() * 2**53)
