"""Experiment trackers: Weights & Biases and MLflow, through Accelerate.

The run folder is the record; a tracker receives a copy. ``trackers.json`` keeps which run of the
tracker belongs to the folder and which epochs were logged, so that ``--resume`` continues there:
no epoch is logged twice, and a tracker that is added later receives the earlier ones.
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
"""Trackers by name, each with its package. TensorBoard and CSV need none."""

STATE = "trackers.json"
"""The file that records what the trackers of a run have received."""

_PROJECT = "skelab"


def check_trackers(names: Sequence[str]) -> None:
    """Refuse trackers that do not exist, or whose package is missing, before anything is done.

    Raises:
        TrainingError: The tracker is unknown or its package missing; the message says which.
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
    """What a tracker has received of this run.

    Attributes:
        run: The tracker's id of the run.
        epoch: The last epoch that was logged; -1 for none.
    """

    run: str
    epoch: int = -1


class Trackers:
    """The trackers of one run; logs every epoch once, with the epoch as its step.

    A tracker that fails during training, say because its server is down, is dropped with a message;
    training continues, and a later ``--resume`` logs what it has missed.

    Args:
        names: Names from ``TRACKERS``.
        run: The run folder.
        recipe: The resolved recipe as YAML; logged when a tracker first sees the run.
        facts: Further settings to log then, say whether the clips are synthetic.
        say: Called with one line about a tracker that fails.

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
        settings = {**flatten_settings(yaml.safe_load(recipe) or {}), **(facts or {})}
        if names:
            PartialState()  # Accelerate's trackers query the process state
        for name in dict.fromkeys(names):
            try:
                self._open[name] = self._start(name, run, settings)
            except Exception as error:  # a service may raise anything
                self.close()
                raise TrainingError(
                    f"--track {name}: does not start: {_brief(error)}; --resume goes on with the"
                    " run, with or without it"
                ) from error

    def show(self, records: Sequence[Mapping[str, int | float]]) -> None:
        """Log to each tracker the records that it has not received."""
        for name, tracker in list(self._open.items()):
            shown = self._shown[name]
            for record in records:
                epoch = int(record["epoch"])
                if epoch <= shown.epoch:
                    continue
                try:
                    tracker.log(scalar_tags(record), step=epoch)
                except Exception as error:  # a service may raise anything
                    del self._open[name]
                    self._say(
                        f"tracker {name} failed, the training goes on without it; --resume"
                        f" --track {name} would show it the rest: {_brief(error)}"
                    )
                    break
                shown.epoch = epoch
                self._write()

    def close(self) -> None:
        """Finish the runs of the trackers."""
        for name, tracker in self._open.items():
            try:
                tracker.finish()
            except Exception as error:  # a service may raise anything
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
    """Open the trackers of a run; they receive its recipe, and which clips it trains on.

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


def scalar_tags(record: Mapping[str, int | float]) -> dict[str, int | float]:
    """The metrics of an epoch under their tags in TensorBoard and trackers, say ``train/loss``."""
    return {name.replace("_", "/", 1): value for name, value in record.items() if name != "epoch"}


def flatten_settings(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Flatten nested settings to dotted keys, say ``training.epochs``; lists become text."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            found |= flatten_settings(value, f"{prefix}{name}.")
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
    """The last two parts of a run folder's path, which name the run and its seed."""
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
