"""Where the channels of a tensor lie in its lanes, padded so that each part starts a vector."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float, Int64
from numpy import ndarray


@dataclass(frozen=True)
class Lanes:
    """Channels in parts one after the other, each part padded with zeros to whole vectors.

    Attributes:
        parts: Channels of each part.
        vector: Lanes of a vector.
    """

    parts: tuple[int, ...]
    vector: int

    @cached_property
    def starts(self) -> tuple[int, ...]:
        """The first lane of each part, and last the number of all lanes."""
        widths = [-(-part // self.vector) * self.vector for part in self.parts]
        return tuple(int(start) for start in np.cumsum([0, *widths]))

    @property
    def width(self) -> int:
        """All lanes."""
        return self.starts[-1]

    @property
    def channels(self) -> int:
        """All channels."""
        return sum(self.parts)

    @property
    def depth(self) -> int:
        """Lanes up to the last channel; what follows is padding."""
        return self.starts[-2] + self.parts[-1]

    @cached_property
    def positions(self) -> Int64[ndarray, " C"]:
        """The lane of each channel."""
        ranges = [
            np.arange(part) + start for start, part in zip(self.starts, self.parts, strict=False)
        ]
        return np.concatenate(ranges)

    def part(self, number: int) -> "Lanes":
        """The lanes of one part alone."""
        return Lanes((self.parts[number],), self.vector)

    def spread(
        self, values: Float[ndarray, "*A C"], width: int | None = None
    ) -> Float[ndarray, "*A L"]:
        """Values of the channels, the last axis, at their lanes; zeros between."""
        spread = np.zeros((*values.shape[:-1], self.width if width is None else width))
        spread[..., self.positions] = values
        return spread

    def spread_rows(self, matrix: Float[ndarray, "*A C D"]) -> Float[ndarray, "*A L D"]:
        """Rows of the channels, the last axis but one, at their lanes up to the last channel."""
        spread = np.zeros((*matrix.shape[:-2], self.depth, matrix.shape[-1]))
        spread[..., self.positions, :] = matrix
        return spread
