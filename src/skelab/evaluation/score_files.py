"""Score files by the path that a user gives: ours, the authors', or folders of either."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from skelab.errors import ScoresError
from skelab.evaluation.foreign_scores import read_label_pickle, scores_from_pickle
from skelab.evaluation.scores import Scores, ScoresInfo

TEST_SCORES = "scores-test.npz"
"""Scores of the test part in a run folder."""

VALIDATION_SCORES = "scores-validation.npz"
"""Scores of the validation part in a run folder."""

_AUTHORS_FILE = re.compile(r"(?P<stream>[^_]+(?:_motion)?)_result(?:_(?P<model>.+))?\.pkl")


@dataclass(frozen=True)
class ScoreFile:
    """A score file, and what its path says of it.

    Attributes:
        path: Where it lies.
        model: Network, where a file of the authors names it.
        stream: Stream, where a file of the authors names it.
    """

    path: Path
    model: str = ""
    stream: str = ""

    @property
    def validation(self) -> Path:
        """Where scores of the validation part lie if this is a run's file of the test part."""
        return self.path.with_name(VALIDATION_SCORES)


def find_score_files(paths: Sequence[Path]) -> dict[str, list[ScoreFile]]:
    """What can be fused, by the name of the ensemble.

    A run folder stands for its scores of the test part. Files that are given, runs among them,
    make one ensemble, called "". A folder of the authors' pickles, ``joint_result_msg3d.pkl`` and
    the like, makes one for each network in it.

    Raises:
        ScoresError: A path does not exist, or a folder has no score file.
    """
    groups: dict[str, list[ScoreFile]] = {}
    for path in paths:
        if path.is_dir() and not (path / TEST_SCORES).is_file():
            for file in _authors_files(path):
                groups.setdefault(file.model, []).append(file)
            continue
        path = path / TEST_SCORES if path.is_dir() else path
        if not path.is_file():
            raise ScoresError(f"{path}: expected a score file or a run folder, found nothing")
        known = _AUTHORS_FILE.fullmatch(path.name)
        stream = known["stream"].replace("_", "-") if known else ""
        model = (known["model"] or "") if known else ""
        groups.setdefault("", []).append(ScoreFile(path, model, stream))
    return groups


def find_label_file(files: Sequence[ScoreFile]) -> Path | None:
    """The authors' ``val_label.pkl`` beside score files; None if there is none."""
    beside = {file.path.with_name("val_label.pkl") for file in files}
    found = sorted(path for path in beside if path.is_file())
    return found[0] if found else None


def read_score_file(file: ScoreFile, labels: Mapping[str, int] | None) -> Scores:
    """Scores of a file of ours, or of the authors, which needs labels.

    What the authors' files do not say, data set and split, is taken to be alike; their epochs were
    chosen on the test part, so their protocol is ``paper``.

    Raises:
        ScoresError: The file is damaged, would run code, or has no labels.
    """
    if file.path.suffix == ".npz":
        return Scores.load(file.path)
    if labels is None:
        raise ScoresError(
            f"{file.path}: scores without labels; --labels names the file of labels, such as the"
            " authors' val_label.pkl"
        )
    info = ScoresInfo(
        dataset="not named",
        split="not named",
        part="test",
        protocol="paper",
        model=file.model,
        stream=file.stream or file.path.stem,
    )
    return scores_from_pickle(file.path, labels, info=info)


def read_labels(path: Path) -> Mapping[str, int]:
    """Label of each sample: from the authors' label pickle, or from scores of ours.

    Raises:
        ScoresError: The file is missing, damaged, would run code, or holds something else.
    """
    if path.suffix == ".npz":
        scores = Scores.load(path)
        return dict(zip(scores.names, scores.labels.tolist(), strict=True))
    return read_label_pickle(path)


def _authors_files(folder: Path) -> list[ScoreFile]:
    """The authors' score files in a folder: by network, joints before bones before motions."""
    found = []
    for path in folder.glob("*.pkl"):
        named = _AUTHORS_FILE.fullmatch(path.name)
        if named:
            found.append(ScoreFile(path, named["model"] or "", named["stream"].replace("_", "-")))
    if not found:
        raise ScoresError(
            f"{folder}: expected a run folder with {TEST_SCORES}, or score files such as"
            " joint_result_msg3d.pkl, found neither; `skelab evaluate` makes scores of a run"
        )
    order = {"joint": 0, "bone": 1, "joint-motion": 2, "bone-motion": 3}
    return sorted(found, key=lambda file: (file.model, order.get(file.stream, 9), file.path.name))
