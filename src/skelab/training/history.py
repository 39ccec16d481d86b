"""The record of a run: one JSON line an epoch, and the same as a table and TensorBoard events."""

import contextlib
import csv
import io
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Self

from torch.utils.tensorboard import SummaryWriter

from skelab.files.atomic import atomic_write, write_error
from skelab.training.records import METRICS, read_history
from skelab.training.trackers import Trackers, scalar_tags


class History:
    """Writes ``metrics.jsonl``, ``metrics.csv`` and ``tensorboard/`` of a run, from an epoch on.

    Records of later epochs, left by a run that was killed, are removed.

    Args:
        run: The run folder.
        first_epoch: The epoch that comes next, from 0.
        trackers: Are shown every record as well, those of earlier epochs too if they have not seen
            them, and closed with the history.

    Raises:
        TrainingError: The file that is there is damaged.
        OutputError: The disk is full or the folder cannot be written.
    """

    def __init__(self, run: Path, *, first_epoch: int, trackers: Trackers | None = None) -> None:
        self._path = run / METRICS
        self._table = run / "metrics.csv"
        self._folder = run / "tensorboard"
        self._trackers = trackers
        self.records = [record for record in read_history(run) if record["epoch"] < first_epoch]
        self._write()
        with self._failure_named():
            self._events = SummaryWriter(str(self._folder), purge_step=first_epoch)
        if trackers:
            trackers.show(self.records)

    def add(self, record: Mapping[str, int | float]) -> None:
        """Keep the record of an epoch."""
        self.records.append(dict(record))
        self._write()
        with self._failure_named():
            for name, value in scalar_tags(record).items():
                self._events.add_scalar(name, value, int(record["epoch"]))
            self._events.flush()
        if self._trackers:
            self._trackers.show(self.records)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._trackers:
            self._trackers.close()
        with self._failure_named():
            self._events.close()

    @contextlib.contextmanager
    def _failure_named(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise write_error(self._folder, error) from error

    def _write(self) -> None:
        with atomic_write(self._path) as temporary:
            temporary.write_text("".join(json.dumps(record) + "\n" for record in self.records))
        table = io.StringIO(newline="")
        columns = dict.fromkeys(name for record in self.records for name in record)
        writer = csv.DictWriter(table, fieldnames=list(columns) or ["epoch"], lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.records)
        with atomic_write(self._table) as temporary:
            temporary.write_text(table.getvalue(), encoding="utf-8")
