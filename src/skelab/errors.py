"""Every error that a user can cause, in one tree.

SkelabError
├── LayoutError            a skeleton layout that does not exist or contradicts itself
├── DataError
│   ├── SkeletonFileError  a malformed ``.skeleton`` file
│   ├── NoBodyError        a recording in which nobody was tracked
│   ├── SourceError        a data source that cannot be read, or holds nothing
│   ├── StoreError         a clip store that is damaged, unfinished or of another kind
│   ├── SplitError         a benchmark split that does not fit the clips
│   ├── SideCarError       a side-car that is damaged, or does not fit its clip or network
│   ├── VideoError         a video that cannot be decoded, or is too large
│   └── LoaderError        a process that reads clips ahead was killed
├── ModelError             an unknown model, or options that it does not take
├── TaskError              an unknown task, or options that it does not take
├── WeightsError           a state dict whose keys or shapes do not fit
├── NetworkError           a network that cannot be opened or run, or clips that it does not take
│   ├── CheckpointError    a checkpoint that is damaged or belongs to something else
│   └── ExportError        an exported graph that is not its network, or cannot be made or read
├── ScoresError            a score file that is damaged or does not fit another
├── RecipeError            an unknown key or a value out of range in a recipe
├── TrainingError          a run that cannot start, go on or be resumed
├── StudyError             a study's plan that cannot be carried out, or a folder of another
├── PoseError              a pose estimator whose files or packages are not there, or are others
├── GpuError               a graphics card, or an amount of memory, that is not known
└── OutputError            a result that could not be written

A message says where, what was expected, what was found and, where there is one, the command
that mends it. The command line prints it as one line and exits with status 2.
"""

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from typing import Final


class SkelabError(Exception):
    """Base class: the user's data, settings or machine do not allow what was asked."""


class LayoutError(SkelabError):
    """A skeleton layout does not exist or contradicts itself."""


class DataError(SkelabError):
    """Base class for everything that is wrong with data."""


class SkeletonFileError(DataError):
    """A ``.skeleton`` file is malformed; the message names file and line."""


class NoBodyError(DataError):
    """Nobody was tracked in a recording: it is left out and named, never an ingest stopped."""


class SourceError(DataError):
    """A data source cannot be read or holds no clip."""


class StoreError(DataError):
    """A clip store is damaged, was not finished, or is of another kind."""


class SplitError(DataError):
    """A benchmark split does not fit the clips at hand."""


class SideCarError(DataError):
    """A side-car is damaged, cannot be made, or does not fit its clip or network."""


class VideoError(DataError):
    """A video cannot be decoded: of another format, damaged, cut off, or larger than allowed."""


class LoaderError(DataError):
    """A process that reads clips ahead was killed."""


class ModelError(SkelabError):
    """A model is unknown or does not take the options given."""


class TaskError(SkelabError):
    """A task is unknown or does not take the options given."""


class WeightsError(SkelabError):
    """A state dict has missing, unexpected or misshapen entries."""


class NetworkError(SkelabError):
    """A network cannot be opened or run by an engine, or does not take the clips given."""


class CheckpointError(NetworkError):
    """A checkpoint is damaged or belongs to another model or data set."""


class ExportError(NetworkError):
    """An exported graph is not the network it was made from, or cannot be made or read."""


class ScoresError(SkelabError):
    """A score file is damaged or does not fit the others."""


class RecipeError(SkelabError):
    """A recipe has an unknown key or a value out of range."""


class TrainingError(SkelabError):
    """A training run cannot start, go on, or be resumed."""


class StudyError(SkelabError):
    """A study's plan cannot be carried out, or its folder belongs to another."""


class PoseError(SkelabError):
    """A pose estimator cannot be used: its files or packages are missing, or are others."""


class GpuError(SkelabError):
    """A graphics card is not in the table, or an amount of memory is none that cards have."""


class OutputError(SkelabError):
    """A result could not be written; what was there before is untouched."""


_LISTED: Final = 40
"""Names that a message lists all of."""

_NEAR: Final = 8
"""Names that it lists where there are more."""

_COMPARED: Final = 5_000
"""Names that are compared one by one; of more, the neighbours in the alphabet count as near."""


def unknown_name(kind: str, name: str, known: Iterable[str]) -> str:
    """Word the message for a name that is not in a table: the name, the nearest, and what is known.

    Args:
        kind: What the name should have named, say ``"layout"``.
        name: The name that was given.
        known: Every name that would have been right; of more than 40, the 8 nearest are listed.
    """
    names = sorted(known)
    near = _nearest(name, names)
    hint = f", did you mean {near[0]!r}?" if near else "."
    if len(names) > _LISTED:
        shown = ", ".join(near or names[:_NEAR])
        return f"unknown {kind} {name!r}{hint} {len(names):,} are known, such as {shown}"
    return f"unknown {kind} {name!r}{hint} Known: {', '.join(names) or 'none'}"


def _nearest(name: str, names: Sequence[str]) -> list[str]:
    """The names most like another, at most eight; empty where none is."""
    if len(names) > _COMPARED:
        place = bisect_left(names, name)
        names = names[max(place - _LISTED, 0) : place + _LISTED]
    return get_close_matches(name, names, n=_NEAR if len(names) > _LISTED else 1)
