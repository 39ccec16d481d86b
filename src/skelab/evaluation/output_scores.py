"""Scores of a task that gives no classes: outputs, targets, and the metrics of the whole part."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

import numpy as np
from jaxtyping import Float32, Shaped
from numpy import ndarray
from pydantic import ConfigDict, Field, TypeAdapter

from skelab.errors import ScoresError
from skelab.evaluation.score_arrays import name_faults, read_arrays, write_arrays
from skelab.evaluation.scores import Scores, ScoresInfo, read_info
from skelab.files.description import Name, read_description
from skelab.files.reading import special_kind

_FORMAT = "skelab-outputs-1"
_METRICS: Final = TypeAdapter(
    Annotated[dict[Name, float], Field(max_length=1_000)], config=ConfigDict(strict=True)
)
_ARRAYS = ("format", "info", "task", "names", "outputs", "targets", "metrics")


@dataclass(frozen=True, eq=False)
class OutputScores:
    """Outputs of N samples with their targets, for tasks other than classification.

    Attributes:
        names: Unique name of each sample.
        outputs: What the network gave for each sample; finite.
        targets: What would have been right.
        metrics: Figures of all samples together, by name.
        task: Name of the task.
        info: Where the scores come from.

    Raises:
        ScoresError: There is no sample, a name stands twice, lengths disagree, or an output is
            not finite.
    """

    names: tuple[str, ...]
    outputs: Float32[ndarray, "_ ..."]
    targets: Shaped[ndarray, "_ ..."]
    metrics: Mapping[str, float]
    task: str
    info: ScoresInfo

    def __post_init__(self) -> None:
        """Check everything once."""
        if not self.names:
            raise ScoresError("scores: expected at least one sample, found none")
        if len(set(self.names)) != len(self.names):
            raise ScoresError("scores: expected every sample name once, found one twice")
        if not len(self.names) == len(self.outputs) == len(self.targets):
            raise ScoresError(
                f"scores: expected outputs and targets of {len(self.names)} samples, found"
                f" {len(self.outputs)} and {len(self.targets)}"
            )
        finite = np.isfinite(self.outputs.reshape(len(self.names), -1)).all(axis=1)
        if not finite.all():
            raise ScoresError(
                f"scores, sample {self.names[int(np.flatnonzero(~finite)[0])]!r}: expected finite"
                " outputs, found NaN or infinity; the training probably diverged"
            )

    def __len__(self) -> int:
        """The number of samples, N."""
        return len(self.names)

    def save(self, path: Path) -> None:
        """Write an npz without pickles, whole or not at all; the same scores, the same bytes.

        Raises:
            OutputError: The file cannot be written; what was there before is untouched.
        """
        arrays: dict[str, ndarray] = {
            "format": np.array(_FORMAT),
            "info": np.array(self.info.to_json()),
            "task": np.array(self.task),
            "names": np.array(self.names),
            "outputs": self.outputs,
            "targets": self.targets,
            "metrics": np.array(json.dumps(dict(self.metrics), sort_keys=True)),
        }
        write_arrays(Path(path), arrays)

    @classmethod
    def load(cls, path: Path) -> "OutputScores":
        """Read scores that :meth:`save` wrote; nothing in the file can run code.

        Raises:
            ScoresError: The file is missing, damaged or of another kind; the message names it.
        """
        with name_faults(path, "evaluate"):
            arrays = read_arrays(path, _ARRAYS)
            return cls(
                names=tuple(arrays["names"].tolist()),
                outputs=arrays["outputs"],
                targets=arrays["targets"],
                metrics=read_description(
                    str(arrays["metrics"]), _METRICS, "expected metrics by name", ScoresError
                ),
                task=str(arrays["task"]),
                info=read_info(str(arrays["info"])),
            )


def load_any_scores(path: Path) -> Scores | OutputScores:
    """Read a score file of whatever task.

    Raises:
        ScoresError: The file is missing, damaged or no score file; the message names it.
    """
    try:
        if special_kind(path):  # to open a pipe would wait for ever
            return Scores.load(path)
        with np.load(path, allow_pickle=False) as archive:
            is_outputs = str(archive["format"]) == _FORMAT
    except Exception:  # whatever numpy makes of a damaged file: Scores.load words it
        is_outputs = False
    return OutputScores.load(path) if is_outputs else Scores.load(path)
