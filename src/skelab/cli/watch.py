"""The progress bar of a training run."""

import time
from collections.abc import Mapping
from datetime import timedelta
from types import TracebackType
from typing import TYPE_CHECKING, Self

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from skelab.cli.output import printable, say, stderr
from skelab.training.watch import Watcher

if TYPE_CHECKING:
    from skelab.training.transfer import MappedWeights


class TrainingBar(Watcher):
    """Shows steps, loss, clips per second and the time left; one line a finished epoch.

    Args:
        verbose: Tell what became of each tensor of the weights that a run starts from.
    """

    def __init__(self, *, verbose: bool = False) -> None:
        self._verbose = verbose
        self._display = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("steps"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}"),
            console=stderr,
            transient=True,
            disable=not stderr.is_terminal,
        )
        self._task = self._display.add_task("training", total=None, note="")
        self._epochs = self._steps = self._clips = self._first = 0
        self._began = self._since = time.perf_counter()

    def __enter__(self) -> Self:
        self._display.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._display.stop()
        if kind is KeyboardInterrupt and self._steps:
            say("the same command with --resume goes on from the last checkpoint")

    def on_start(self, *, epochs: int, steps: int, first_epoch: int, first_step: int) -> None:
        """Set the length of the bar."""
        self._epochs, self._steps = epochs, steps
        self._first = first_epoch
        self._clips, self._began = 0, time.perf_counter()
        self._since = self._began
        done = first_epoch * steps + first_step
        self._display.reset(self._task, total=epochs * steps, completed=done)

    def on_initial(self, source: str, weights: "MappedWeights") -> None:
        """Print what was taken from trained weights, and what differs."""
        say(f"from {source}: {weights.summary()}")
        for note in weights.notes:
            say(f"about {source}: {note}")
        if self._verbose:
            for how in ("taken", "mapped", "fresh"):
                for tensor in getattr(weights, how):
                    kept = f"{tensor.kept:>9,} of {tensor.numbers:>9,}"
                    say(f"  {how:6} {kept}  {tensor.name}  {tensor.why}".rstrip())

    def on_step(self, *, epoch: int, step: int, clips: int, loss: float) -> None:
        """Move the bar by a step."""
        self._clips += clips
        speed = self._clips / max(time.perf_counter() - self._since, 1e-9)
        self._display.update(
            self._task,
            completed=epoch * self._steps + step + 1,
            description=f"epoch {epoch + 1}/{self._epochs}",
            note=f"loss {loss:.3f}, {speed:.1f} clips/s",
        )

    def on_epoch(self, record: Mapping[str, int | float]) -> None:
        """Print the epoch's line."""
        line = (
            f"epoch {int(record['epoch']) + 1:>2}/{self._epochs}"
            f"  loss {record['train_loss']:.4f}{_metrics(record, 'train')}"
        )
        if found := _metrics(record, "validation"):
            line += f"  validation{found.replace('  top-1', '')}"
        line += f"  {record['clips_per_second']:5.1f} clips/s  {record['seconds']:5.1f} s"
        done = int(record["epoch"]) + 1
        if not stderr.is_terminal and done < self._epochs:  # a terminal has the bar for that
            spent = time.perf_counter() - self._began
            left = spent / (done - self._first) * (self._epochs - done)
            line += f"  left {timedelta(seconds=round(left))}"
        self._display.console.print(printable(line), markup=False, soft_wrap=True)
        self._clips, self._since = 0, time.perf_counter()  # the next epoch's first step starts here

    def on_message(self, text: str) -> None:
        """Print a line above the bar."""
        self._display.console.print(printable(text), markup=False, soft_wrap=True)


def _metrics(record: Mapping[str, int | float], part: str) -> str:
    """The task's metrics in the record of an epoch; shares in per cent, others as they are."""
    text = ""
    for column, value in record.items():
        name = column.removeprefix(f"{part}_")
        if name == "top1":
            text += f"  top-1 {value:6.1%}"
        elif name not in (column, "loss"):
            text += f"  {name.replace('_', ' ')} {value:.4g}"
    return text
