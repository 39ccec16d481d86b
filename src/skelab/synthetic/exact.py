"""Random numbers and trigonometry with the same bits on every machine and numpy version.

numpy guarantees the raw words of PCG64 and SeedSequence, but not its distributions, and its sine
depends on the processor. Distributions are therefore computed from raw words here, and sine and
cosine are polynomials: sums, products and quotients of float64 are identical everywhere.
"""

import hashlib
from collections.abc import Sequence
from typing import TypeVar

import numpy as np
from jaxtyping import Float64
from numpy import ndarray

_T = TypeVar("_T")

_UNIT = 2.0**-53
# A sum of four 16-bit words, normalised to mean 0 and deviation 1.
_WORDS = 4
_WORD_MEAN = _WORDS * (2**16 - 1) / 2
_WORD_DEVIATION = (_WORDS * (2.0**32 - 1) / 12) ** 0.5

# Taylor coefficients, highest power first; on [-pi/4, pi/4] they are accurate to 1e-13.
_SINE = (1 / 6227020800, -1 / 39916800, 1 / 362880, -1 / 5040, 1 / 120, -1 / 6, 1.0)
_COSINE = (1 / 479001600, -1 / 3628800, 1 / 40320, -1 / 720, 1 / 24, -1 / 2, 1.0)
_QUARTER = 1.5707963267948966
TURN = 6.283185307179586


class Draws:
    """A stream of random numbers that depends on a seed and a key only.

    Args:
        seed: Seed of the whole set, 0 or more.
        key: Purpose of the stream; different keys give independent streams.
    """

    def __init__(self, seed: int, *key: object) -> None:
        text = "/".join(str(part) for part in (seed, *key))
        entropy = int.from_bytes(hashlib.sha256(text.encode()).digest()[:16], "little")
        self._bits = np.random.PCG64(np.random.SeedSequence(entropy))

    def uniform(self, low: float = 0.0, high: float = 1.0) -> float:
        """One number in [low, high)."""
        word = int(self._bits.random_raw())
        return low + (high - low) * ((word >> 11) * _UNIT)

    def integer(self, low: int, high: int) -> int:
        """One whole number from ``low`` to ``high``, both included."""
        return low + int(self.uniform() * (high - low + 1))

    def happens(self, probability: float) -> bool:
        """True with this probability."""
        return self.uniform() < probability

    def choice(self, options: Sequence[_T]) -> _T:
        """One of the options."""
        return options[self.integer(0, len(options) - 1)]

    def around(self, mean: float, deviation: float) -> float:
        """A bell-shaped random number, truncated at 3.4 deviations from its mean."""
        return mean + deviation * float(self.normals(1)[0])

    def normals(self, *shape: int) -> Float64[ndarray, "..."]:
        """Numbers of mean 0 and deviation 1: sums of four uniform ones, within 3.5 deviations."""
        words = self._bits.random_raw(int(np.prod(shape)))
        low = words & np.uint64(0x0000FFFF0000FFFF)
        high = (words >> np.uint64(16)) & np.uint64(0x0000FFFF0000FFFF)
        pairs = low + high  # two sums of 17 bits, 32 bits apart
        total = (pairs & np.uint64(0xFFFFFFFF)) + (pairs >> np.uint64(32))
        normal: Float64[ndarray, ...] = (total.astype(np.float64) - _WORD_MEAN) / _WORD_DEVIATION
        return normal.reshape(shape)


def sine_cosine(
    angle: Float64[ndarray, "..."],
) -> tuple[Float64[ndarray, "..."], Float64[ndarray, "..."]]:
    """Sine and cosine of an angle in radians, accurate to 1e-12 up to a thousand turns."""
    quarters = np.rint(angle * (1 / _QUARTER))
    rest = angle - quarters * _QUARTER
    square = rest * rest
    sine, cosine = _polynomial(_SINE, square) * rest, _polynomial(_COSINE, square)
    quadrant = quarters.astype(np.int64) & 3
    odd = (quadrant & 1) == 1
    sine, cosine = np.where(odd, cosine, sine), np.where(odd, sine, cosine)
    return (
        np.where(quadrant >= 2, -sine, sine),
        np.where((quadrant == 1) | (quadrant == 2), -cosine, cosine),
    )


def sine_cosine_of(angle: float) -> tuple[float, float]:
    """Sine and cosine of one angle in radians."""
    sine, cosine = sine_cosine(np.array([angle]))
    return float(sine[0]), float(cosine[0])


def ease(phase: Float64[ndarray, "..."], start: float, end: float) -> Float64[ndarray, "..."]:
    """The minimum-jerk curve: 0 before ``start``, 1 after ``end``, at rest at both.

    Source: Flash and Hogan, The coordination of arm movements, J. Neuroscience 5(7), 1985.
    """
    x = np.clip((phase - start) * (1.0 / (end - start)), 0.0, 1.0)
    return x * x * x * (x * (x * 6.0 - 15.0) + 10.0)


def _polynomial(
    coefficients: Sequence[float], x: Float64[ndarray, "..."]
) -> Float64[ndarray, "..."]:
    value = np.full_like(x, coefficients[0])
    for coefficient in coefficients[1:]:
        value = value * x + coefficient
    return value
