"""Rebuilds training batches from the log of random draws."""

from skelab.data.feeding.batch import Batch
from skelab.data.feeding.dataset import PaddedClips
from skelab.data.feeding.draw_log import LoggedDraws
from skelab.data.feeding.feeder import Feeder
from skelab.errors import DataError


def replay_draws(feeder: Feeder, clips: PaddedClips, logged: LoggedDraws) -> Batch:
    """Rebuild a training batch from its clips and their logged draws.

    It equals the batch of the run bit for bit, on the same kind of device and with the same clips
    in the same order.

    Args:
        feeder: A feeder with the settings, layout and pipeline of the run.
        clips: The clips of the batch; ``logged.rows`` has the order of training.
        logged: The logged draws.

    Raises:
        DataError: The log has other clips or other transforms, or a clip that was mixed in is not
            in the batch.
    """
    where = f"{logged.path}, epoch {logged.epoch}"
    labels = [step.label for step in feeder.training]
    for row, name in zip(clips.rows, clips.names, strict=True):
        if logged.names.get(row) != name:
            found = "no such clip" if row not in logged.names else f"clip {logged.names[row]!r}"
            raise DataError(f"{where}: expected clip {name!r} in row {row}, found {found}")
        if sorted(logged.drawn[row]) != sorted(labels):
            raise DataError(
                f"{where}: expected draws of {', '.join(labels)}, as the feeder has them, found"
                f" those of {', '.join(logged.drawn[row])}"
            )
    drawn = {label: [logged.drawn[row][label] for row in clips.rows] for label in labels}
    return feeder.apply(clips, drawn)
