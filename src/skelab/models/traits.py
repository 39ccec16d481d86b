"""What a family's computation mixes, and which lengths of clips it takes."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, SupportsInt

from skelab.errors import ModelError

if TYPE_CHECKING:
    from torch import SymInt
else:  # the length of a clip in a graph that is traced; a card is read without torch
    SymInt = SupportsInt

_USUAL_FRAMES = 64


@dataclass(frozen=True)
class FamilyTraits:
    """What those who use a family may rely on; ``check_traits`` compares it with the network.

    Attributes:
        bodies_mix: The tokens of a body depend on other bodies of its clip. Absent bodies are then
            computed like any other.
        samples_mix: The tokens or logits of a clip depend on other clips of the batch. Batch
            statistics do not count: every batch norm has them in training. Nor do random draws.
        causal: No token depends on a frame after those it stands for. Token l of a network of
            stride s stands for the frames from l * s up to (l + 1) * s.
        frames_multiple_of: T must be a multiple of this.
        min_frames: T must be at least this.
        max_frames: T must be at most this; None sets no limit.

    Raises:
        ModelError: No length fits.
    """

    bodies_mix: bool = False
    samples_mix: bool = False
    causal: bool = False
    frames_multiple_of: int = 1
    min_frames: int = 1
    max_frames: int | None = None

    def __post_init__(self) -> None:
        if self.frames_multiple_of < 1 or self.min_frames < 1 or not self.takes(self.shortest):
            raise ModelError(
                "traits: expected lengths of clips that exist, found multiples of"
                f" {self.frames_multiple_of} from {self.min_frames} to {self.max_frames}"
            )

    @property
    def shortest(self) -> int:
        """The fewest frames that the family takes."""
        return -(-self.min_frames // self.frames_multiple_of) * self.frames_multiple_of

    @property
    def longest(self) -> int | None:
        """The most frames that the family takes; None if there is no limit."""
        if self.max_frames is None:
            return None
        return self.max_frames // self.frames_multiple_of * self.frames_multiple_of

    @property
    def lengths(self) -> str:
        """The lengths in words, say ``a multiple of 4, from 8 to 64``."""
        words = []
        if self.frames_multiple_of > 1:
            words.append(f"a multiple of {self.frames_multiple_of}")
        if self.max_frames is not None:
            words.append(f"from {self.min_frames} to {self.max_frames}")
        elif self.min_frames > 1:
            words.append(f"at least {self.min_frames}")
        return ", ".join(words) or "any number"

    @property
    def takes_all(self) -> bool:
        """Whether the family takes clips of any length."""
        return (self.frames_multiple_of, self.min_frames, self.max_frames) == (1, 1, None)

    def takes(self, frames: int | SymInt) -> bool:
        """Whether the family takes clips of so many frames."""
        # what is not limited is not asked, so that a graph being traced gets no conditions
        return bool(
            (self.frames_multiple_of == 1 or frames % self.frames_multiple_of == 0)
            and (self.min_frames == 1 or frames >= self.min_frames)
            and (self.max_frames is None or frames <= self.max_frames)
        )

    def check_length(self, name: str, frames: int | SymInt) -> None:
        """Refuse a length that the family ``name`` does not take.

        Raises:
            ModelError: The message says which lengths it takes.
        """
        if not self.takes(frames):
            raise ModelError(
                f"{name}: expected clips whose number of frames is {self.lengths}, found {frames};"
                f" choose such a window (--set data.window={self.nearest(_USUAL_FRAMES)})"
            )

    def nearest(self, frames: int) -> int:
        """A length that the family takes, no more than one multiple away if ``frames`` is within.

        It is rounded up, and down at the upper limit.
        """
        rounded = -(-frames // self.frames_multiple_of) * self.frames_multiple_of
        rounded = max(rounded, self.shortest)
        return rounded if self.longest is None else min(rounded, self.longest)
