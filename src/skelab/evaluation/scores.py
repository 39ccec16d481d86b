"""Scores: what a network said of every sample of one part of a split, and what was right."""

import json
import struct
import zipfile
import zlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from jaxtyping import Float32, Int64
from numpy import ndarray
from pydantic import ConfigDict, TypeAdapter

from skelab.errors import ScoresError, unknown_name
from skelab.files.atomic import atomic_write
from skelab.files.description import Name, can_be_written, read_description
from skelab.files.plain_pickle import is_text
from skelab.files.reading import special_kind

PARTS = ("train", "validation", "test")
"""Parts of a split."""

PROTOCOLS = ("honest", "paper")
"""How the scored weights were chosen; see `ScoresInfo`."""

GROUPS = ("subject", "camera", "setup")
"""Columns that a score file may carry beside each sample; -1 where the number is unknown."""

MOST_CLASSES: Final = 5_000
"""Classes of a score file, at most; a confusion matrix of them takes 200 MB."""

_FORMAT = "skelab-scores-1"
_ARRAYS = ("format", "info", "names", "labels", "logits", "classes")
_DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    ValueError,  # a pickled or misshapen member, a name that is no Unicode
    KeyError,
    EOFError,
    NotImplementedError,  # a compression or zip feature that Python does not know
    RuntimeError,  # a member that claims to be encrypted
    MemoryError,  # a header that claims terabytes
    OverflowError,
)


@dataclass(frozen=True)
class ScoresInfo:
    """Where scores come from; two files are comparable where dataset, split and part agree.

    Attributes:
        dataset: Name of the data set.
        split: Benchmark split, say ``"xsub"``.
        part: Part of the split that was scored, one of ``PARTS``.
        protocol: ``"honest"`` if nothing was chosen by looking at the test part, ``"paper"`` if
            the epoch was, as the papers do.
        model: Name of the model, or of several joined by ``+``.
        stream: Input stream, or several joined by ``+``.
        checkpoint: Digest of the weights; empty where unknown.
        synthetic: The clips were made by a program, so that the figures say nothing of people.
        unknown_training: Nobody knows on which clips the weights were trained, so that some of
            these may have been among them.
        engine: What computed the network, say ``torch`` or ``native``; empty where unknown.

    Raises:
        ScoresError: Part or protocol is not one of those above.
    """

    __pydantic_config__ = ConfigDict(strict=True, extra="forbid")

    dataset: Name
    split: Name
    part: Name
    protocol: Name
    model: Name
    stream: Name
    checkpoint: Name = ""
    synthetic: bool = False
    unknown_training: bool = False
    engine: Name = ""

    def __post_init__(self) -> None:
        """Refuse a part or protocol that does not exist."""
        for kind, name, known in (
            ("part", self.part, PARTS),
            ("protocol", self.protocol, PROTOCOLS),
        ):
            if name not in known:
                raise ScoresError(f"scores: {unknown_name(kind, name, known)}")

    def to_json(self) -> str:
        """The text that stands in a file of scores."""
        found = asdict(self)
        if not self.unknown_training:
            del found["unknown_training"]
        return json.dumps(found, sort_keys=True)

    @property
    def chosen_by(self) -> str:
        """The protocol, and whether it is unknown which clips trained the weights."""
        return self.protocol + ("; training part unknown" if self.unknown_training else "")

    @property
    def title(self) -> str:
        """Model and stream in a few words, to name these scores in a message or a table."""
        return " ".join(word for word in (self.model, self.stream) if word) or "scores"


@dataclass(frozen=True, eq=False)
class Scores:
    """Logits of N samples over K classes, with the right answers, joined by sample name.

    Attributes:
        names: Unique name of each sample.
        labels: Right class of each sample, 0..K-1.
        logits: Score of each class, the higher the likelier; finite, before any softmax.
        classes: Unique name of each class.
        info: Where the scores come from.
        groups: Number of each sample's subject, camera or setup (see ``GROUPS``), -1 where
            unknown. A column that is not known at all is left out.

    Raises:
        ScoresError: There is no sample, a name or class occurs twice, lengths or dtypes
            disagree, a label is out of range or a logit is not finite.
    """

    names: tuple[str, ...]
    labels: Int64[ndarray, " N"]
    logits: Float32[ndarray, "N K"]
    classes: tuple[str, ...]
    info: ScoresInfo
    groups: Mapping[str, Int64[ndarray, " N"]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check everything once, so that nobody has to check it again."""
        if not self.names:
            raise ScoresError("scores: expected at least one sample, found none")
        _check_unique("sample name", self.names)
        _check_unique("class name", self.classes)
        if self.num_classes > MOST_CLASSES:
            raise ScoresError(
                f"scores: expected at most {MOST_CLASSES:,} classes, so that every pair of them can"
                f" be counted, found {self.num_classes:,}"
            )
        _check_arrays(self.names, self.labels, self.logits, self.classes, self.groups)
        samples, classes = len(self.names), self.num_classes
        wrong = np.flatnonzero((self.labels < 0) | (self.labels >= classes))
        if wrong.size:
            raise ScoresError(
                f"scores, sample {self.names[wrong[0]]!r}: expected a label in 0..{classes - 1},"
                f" found {self.labels[wrong[0]]}"
            )
        bad = np.flatnonzero(~np.isfinite(self.logits).all(axis=1))
        if bad.size:
            raise ScoresError(
                f"scores, sample {self.names[bad[0]]!r}: expected finite logits, found NaN or"
                f" infinity ({bad.size} of {samples} samples); the training probably diverged"
            )

    @classmethod
    def from_parts(cls, parts: Sequence["Scores"], *, info: ScoresInfo | None = None) -> "Scores":
        """Merge scores of disjoint samples, such as those of several processes or folds.

        Samples stay in the order given. Group columns are kept; a part without one counts as
        unknown (-1).

        Args:
            parts: Scores over the same classes.
            info: What to write beside the merged scores; without it all parts must agree.

        Raises:
            ScoresError: There is no part, or classes, provenance or sample names collide.
        """
        if not parts:
            raise ScoresError("scores: expected at least one part to merge, found none")
        first = parts[0]
        for part in parts[1:]:
            check_same_classes(first, part)
            if info is None and part.info != first.info:
                raise ScoresError(f"scores: cannot merge, {_difference(first.info, part.info)}")
        known = [name for name in GROUPS if any(name in part.groups for part in parts)]
        return cls(
            names=tuple(name for part in parts for name in part.names),
            labels=np.concatenate([part.labels for part in parts]),
            logits=np.concatenate([part.logits for part in parts]),
            classes=first.classes,
            info=info or first.info,
            groups={name: np.concatenate([part.group(name) for part in parts]) for name in known},
        )

    @classmethod
    def load(cls, path: Path) -> "Scores":
        """Read scores that `save` wrote; nothing in the file can run code.

        Raises:
            ScoresError: The file is missing, damaged, not one of ours, or contradicts itself;
                the message names the file.
        """
        path = Path(path)
        try:
            arrays = _read_arrays(path)
            names, classes = (_read_names(kind, arrays[kind]) for kind in ("names", "classes"))
            groups = {name: arrays[name] for name in GROUPS if name in arrays}
            _check_arrays(names, arrays["labels"], arrays["logits"], classes, groups)
            info = read_info(str(arrays["info"]))
            return cls(names, arrays["labels"], arrays["logits"], classes, info, groups)
        except ScoresError as error:
            raise ScoresError(f"{path}: {error}") from error
        except OSError as error:
            reason = error.strerror or "cannot be read"
            raise ScoresError(f"{path}: expected a score file, found: {reason}") from error
        except _DAMAGE as error:
            raise ScoresError(
                f"{path}: damaged score file ({error or type(error).__name__});"
                " write it again with `skelab evaluate`"
            ) from error

    def save(self, path: Path) -> None:
        """Write an npz without pickles, whole or not at all; the same scores, the same bytes.

        Raises:
            OutputError: The file cannot be written; what was there before is untouched.
        """
        arrays: dict[str, ndarray] = {
            "format": np.array(_FORMAT),
            "info": np.array(self.info.to_json()),
            "names": np.array(self.names),
            "labels": self.labels,
            "logits": self.logits,
            "classes": np.array(self.classes),
            **self.groups,
        }
        with atomic_write(Path(path)) as temporary, temporary.open("wb") as file:
            np.savez(file, **arrays)  # type: ignore[arg-type]

    def __len__(self) -> int:
        """The number of samples, N."""
        return len(self.names)

    @property
    def num_classes(self) -> int:
        """The number of classes, K."""
        return len(self.classes)

    @property
    def predictions(self) -> Int64[ndarray, " N"]:
        """The class with the highest logit of each sample; the lower index wins a tie."""
        best: ndarray = self.logits.argmax(axis=1)
        return best.astype(np.int64)

    @property
    def ranks(self) -> Int64[ndarray, " N"]:
        """How many classes each sample puts before the right one; 0 is a top-1 hit.

        Of classes with the same logit the lower index stands first, as in `predictions`.
        """
        own = self.logits[np.arange(len(self)), self.labels][:, None]
        earlier = np.arange(self.num_classes)[None] < self.labels[:, None]
        before = (self.logits > own) | ((self.logits == own) & earlier)
        ranks: ndarray = before.sum(axis=1, dtype=np.int64)
        return ranks

    def top(self, k: int) -> float:
        """The share of samples whose label is among their ``k`` highest logits, 0..1.

        Raises:
            ScoresError: ``k`` is below 1.
        """
        if k < 1:
            raise ScoresError(f"top-k accuracy: expected k of at least 1, found {k}")
        return float((self.ranks < k).mean())

    def group(self, name: str) -> Int64[ndarray, " N"]:
        """The column ``name`` of `GROUPS`; -1 throughout where it is not known.

        Raises:
            ScoresError: There is no such column.
        """
        if name not in GROUPS:
            raise ScoresError(f"scores: {unknown_name('group column', name, GROUPS)}")
        return self.groups.get(name, np.full(len(self), -1, dtype=np.int64))

    def take(self, rows: Int64[ndarray, " R"]) -> "Scores":
        """The samples at ``rows``, in that order.

        Raises:
            ScoresError: No row is left, or one is taken twice.
        """
        return replace(
            self,
            names=tuple(self.names[row] for row in rows),
            labels=self.labels[rows],
            logits=self.logits[rows],
            groups={name: column[rows] for name, column in self.groups.items()},
        )


def check_same_classes(first: Scores, other: Scores) -> None:
    """Refuse scores over different classes, or the same classes in another order.

    Raises:
        ScoresError: The message names the first class that differs.
    """
    if first.classes == other.classes:
        return
    titles = f"{first.info.title!r} and {other.info.title!r}"
    if len(first.classes) != len(other.classes):
        counts = f"{len(first.classes)} and {len(other.classes)}"
        raise ScoresError(f"{titles} have different classes: {counts} of them")
    pairs = zip(first.classes, other.classes, strict=True)
    index, (a, b) = next((i, pair) for i, pair in enumerate(pairs) if pair[0] != pair[1])
    raise ScoresError(f"{titles} have different classes: class {index} is {a!r} and {b!r}")


def _difference(first: ScoresInfo, other: ScoresInfo) -> str:
    a, b = asdict(first), asdict(other)
    name = next(name for name in a if a[name] != b[name])
    return f"{name} differs: {a[name]!r} and {b[name]!r}"


def _check_unique(kind: str, names: tuple[str, ...]) -> None:
    for name in names:
        if not isinstance(name, str) or not name or "\0" in name or not can_be_written(name):
            raise ScoresError(
                f"scores: expected a non-empty text as {kind}, found {ascii(name)[:60]}"
            )
    name, times = Counter(names).most_common(1)[0] if names else ("", 0)
    if times > 1:
        raise ScoresError(f"scores: expected every {kind} once, found {name!r} {times} times")


def _check_arrays(
    names: tuple[str, ...],
    labels: ndarray,
    logits: ndarray,
    classes: tuple[str, ...],
    groups: Mapping[str, ndarray],
) -> None:
    _check_array("logits", logits, np.dtype(np.float32), (len(names), len(classes)))
    _check_array("labels", labels, np.dtype(np.int64), (len(names),))
    for name, column in groups.items():
        if name not in GROUPS:
            raise ScoresError(f"scores: {unknown_name('group column', name, GROUPS)}")
        _check_array(f"group column {name}", column, np.dtype(np.int64), (len(names),))


def _check_array(name: str, array: ndarray, dtype: np.dtype[Any], shape: tuple[int, ...]) -> None:
    if array.dtype != dtype or array.shape != shape:
        raise ScoresError(
            f"scores: expected {name} of {dtype} and shape {shape},"
            f" found {array.dtype} and {array.shape}"
        )


def _read_arrays(path: Path) -> dict[str, ndarray]:
    kind = special_kind(path)
    if kind:
        raise ScoresError(f"expected a score file, found {kind}")
    with path.open("rb") as file:
        if not zipfile.is_zipfile(file):
            raise ScoresError(
                "expected a score file (npz) of `skelab evaluate`, found one that was cut off, or"
                " another kind"
            )
        file.seek(0)
        with np.load(file, allow_pickle=False) as archive:
            missing = [name for name in _ARRAYS if name not in archive.files]
            if missing:
                raise ScoresError(
                    "expected a score file of `skelab evaluate`, found an npz without"
                    f" {', '.join(missing)}"
                )
            if str(archive["format"]) != _FORMAT:
                raise ScoresError(f"expected format {_FORMAT!r}, found {str(archive['format'])!r}")
            arrays = {n: archive[n] for n in (*_ARRAYS, *GROUPS) if n in archive.files}
    for name, array in arrays.items():
        if not is_text(array):
            raise ScoresError(f"expected {name} to be text, found something that is no Unicode")
    return arrays


def _read_names(kind: str, array: ndarray) -> tuple[str, ...]:
    if array.dtype.kind != "U" or array.ndim != 1:
        raise ScoresError(f"expected a row of texts as {kind}, found {array.dtype} {array.shape}")
    return tuple(array.tolist())


def read_info(text: str) -> ScoresInfo:
    """Where scores come from, as a score file says it.

    Raises:
        ScoresError: Something is missing, or of another kind.
    """
    return read_description(text, _INFO, "damaged score file, its info", ScoresError)


_INFO: Final = TypeAdapter(ScoresInfo)
