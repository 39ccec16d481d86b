"""Who is told how a run goes: the command line's progress bar, or nobody."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from skelab.training.transfer import MappedWeights


class Watcher:
    """Is told of every step and epoch; this one ignores it all. Subclasses show it."""

    def on_start(self, *, epochs: int, steps: int, first_epoch: int, first_step: int) -> None:
        """A run of ``epochs`` epochs of ``steps`` steps goes on from ``first_step`` of one."""

    def on_initial(self, source: str, weights: "MappedWeights") -> None:
        """A run starts from trained weights, so many of which fit."""

    def on_step(self, *, epoch: int, step: int, clips: int, loss: float) -> None:
        """A step of an epoch is done: ``clips`` clips with this mean loss."""

    def on_epoch(self, record: Mapping[str, int | float]) -> None:
        """An epoch is done; its record goes to ``metrics.jsonl``."""

    def on_scored(self, *, done: int, total: int) -> None:
        """Clips were scored, for validation or a test."""

    def on_message(self, text: str) -> None:
        """Something that the user should know, in one line."""
