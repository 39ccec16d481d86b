"""Trackers beside the run folder: Weights & Biases and MLflow, by name, through Accelerate's.

The run folder is the record; a tracker is shown a copy of it. ``trackers.json`` remembers which run
of the tracker belongs to the folder and what it was shown, so that ``--resume`` goes on in the same
place: epochs that were shown are not shown twice, and a tracker that joins late is shown the rest.
"""

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import yaml
from accelerate import PartialState
from accelerate.tracking import LOGGER_TYPE_TO_CLASS

from skelab.errors import TrainingError, unknown_name
from skelab.files.atomic import atomic_write
from skelab.training.job import TrainingJob
from skelab.training.watch import Watcher

TRACKERS: Mapping[str, str] = {"mlflow": "mlflow", "wandb": "wandb"}
"""Trackers by name, each with the package that it needs. TensorBoard and CSV need none."""

STATE = "trackers.json"
"""What the trackers of a run folder were shown."""

_PROJECT = "skelab"


def check_trackers(names: Sequence[str]) -> None:
    """Refuse trackers that do not exist, or whose package is missing, before anything is done.

    Raises:
        TrainingError: The message names the known ones, or the package to install.
    """
    for name in names:
        if name not in TRACKERS:
            raise TrainingError(
                f"--track: {unknown_name('tracker', name, TRACKERS)};"
                " TensorBoard and CSV are always written"
            )
        if find_spec(TRACKERS[name]) is None:
            raise TrainingError(
                f"--track {name}: expected the package {TRACKERS[name]!r}, found none;"
                f" pip install {TRACKERS[name]}"
            )


@dataclass
class _Shown:
    """What a tracker knows of this run.

    Attributes:
        run: The tracker's own name of the run.
        epoch: The last epoch that it was shown; -1 for none.
    """

    run: str
    epoch: int = -1


class Trackers:
    """The trackers of one run; shows each of them every epoch once, with the epoch as its step.

    A tracker that fails on the way, say because its server is gone, is left out with a message: the
    training does not stop for it, and a later ``--resume`` shows it what it has missed.

    Args:
        names: Which, of ``TRACKERS``.
        run: The run folder.
        recipe: The resolved recipe, YAML; shown to a tracker when it first meets the run.
        facts: What else it should be told then, say whether the clips are synthetic.
        say: Is told, in one line, of a tracker that fails.

    Raises:
        TrainingError: A tracker is unknown, its package is missing, or it does not start.
    """

    def __init__(
        self,
        names: Sequence[str],
        run: Path,
        *,
        recipe: str = "",
        facts: Mapping[str, Any] | None = None,
        say: Callable[[str], None] = lambda _: None,
    ) -> None:
        check_trackers(names)
        self._path = run / STATE
        self._say = say
        self._shown = _read_state(self._path) if names else {}
        self._open: dict[str, Any] = {}
        settings = {**flat(yaml.safe_load(recipe) or {}), **(facts or {})}
        if names:
            PartialState()  # Accelerate's trackers ask it which process they are in
        for name in dict.fromkeys(names):
            try:
                self._open[name] = self._start(name, run, settings)
            except Exception as error:  # whatever a service may raise
                self.close()
                raise TrainingError(
                    f"--track {name}: does not start: {_brief(error)}; --resume goes on with the"
                    " run, with or without it"
                ) from error

    def show(self, records: Sequence[Mapping[str, int | float]]) -> None:
        """Show each tracker those records that it has not seen yet."""
        for name, tracker in list(self._open.items()):
            shown = self._shown[name]
            for record in records:
                epoch = int(record["epoch"])
                if epoch <= shown.epoch:
                    continue
                try:
                    tracker.log(named(record), step=epoch)
                except Exception as error:  # whatever a service may raise
                    del self._open[name]
                    self._say(
                        f"tracker {name} failed, the training goes on without it; --resume"
                        f" --track {name} would show it the rest: {_brief(error)}"
                    )
                    break
                shown.epoch = epoch
                self._write()

    def close(self) -> None:
        """Tell the trackers that this was all."""
        for name, tracker in self._open.items():
            try:
                tracker.finish()
            except Exception as error:  # whatever a service may raise
                self._say(f"tracker {name} did not close: {_brief(error)}")
        self._open = {}

    def _start(self, name: str, run: Path, settings: Mapping[str, Any]) -> Any:
        known = self._shown.get(name)
        tracker = _MAKERS[name](run, known.run if known else None)
        tracker.start()
        if known is None:
            tracker.store_init_configuration(dict(settings))
            self._shown[name] = _Shown(_IDS[name](tracker.tracker))
            self._write()
        return tracker

    def _write(self) -> None:
        state = {name: asdict(shown) for name, shown in self._shown.items()}
        with atomic_write(self._path) as temporary:
            temporary.write_text(json.dumps(state, indent=2) + "\n", encoding="utf-8")


def open_trackers(names: Sequence[str], job: TrainingJob, watcher: Watcher) -> Trackers:
    """The trackers of a run; they are told its recipe, and which clips it trains on.

    Raises:
        TrainingError: A tracker is unknown, its package is missing, or it does not start.
    """
    inputs = job.inputs
    facts = {
        "data.dataset": inputs.dataset,
        "data.classes": len(inputs.classes),
        "data.pipeline": inputs.pipeline,
        "data.digest": inputs.digest,
        "data.synthetic": inputs.synthetic,
    }
    return Trackers(names, job.run, recipe=job.recipe, facts=facts, say=watcher.on_message)


def named(record: Mapping[str, int | float]) -> dict[str, int | float]:
    """The figures of an epoch as TensorBoard and the trackers name them: ``train/loss``."""
    return {name.replace("_", "/", 1): value for name, value in record.items() if name != "epoch"}


def flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested settings as one mapping: ``training.epochs``; lists become text."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            found |= flat(value, f"{prefix}{name}.")
        else:
            found[f"{prefix}{name}"] = (
                ", ".join(map(str, value)) if isinstance(value, list) else value
            )
    return found


def _wandb(run: Path, known: str | None) -> Any:
    return LOGGER_TYPE_TO_CLASS["wandb"](
        os.environ.get("WANDB_PROJECT", _PROJECT),
        name=_title(run),
        dir=str(run),
        id=known,
        resume="allow" if known else None,
    )


def _mlflow(run: Path, known: str | None) -> Any:
    return LOGGER_TYPE_TO_CLASS["mlflow"](_PROJECT, run_id=known, run_name=_title(run))


_MAKERS: Mapping[str, Callable[[Path, str | None], Any]] = {"mlflow": _mlflow, "wandb": _wandb}
_IDS: Mapping[str, Callable[[Any], str]] = {
    "mlflow": lambda run: str(run.info.run_id),
    "wandb": lambda run: str(run.id),
}


def _title(run: Path) -> str:
    """The last two parts of a run folder's path, so that a seed is told with its run."""
    return "/".join(run.parts[-2:]) if run.name.startswith("seed-") else run.name


def _read_state(path: Path) -> dict[str, _Shown]:
    if not path.exists():
        return {}
    try:
        state = json.loads(path.read_text(encoding="utf-8"))
        return {
            name: _Shown(str(entry["run"]), int(entry["epoch"])) for name, entry in state.items()
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise TrainingError(
            f"{path}: expected what the trackers were shown, found a damaged file; without it,"
            " --resume begins new runs in the trackers"
        ) from None


def _brief(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:200]
