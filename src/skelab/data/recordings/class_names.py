"""Names of classes for files that carry only their numbers."""

from collections.abc import Iterable
from dataclasses import replace

from skelab.data.clips.clip import SampleInfo
from skelab.data.recordings.ntu_actions import NTU60_CLASSES, NTU120_CLASSES
from skelab.data.recordings.sample_name import parse_sample_name
from skelab.errors import DataError


def numbered_classes(num_classes: int, *, first: int = 0) -> tuple[str, ...]:
    """``class 0``, ``class 1`` and so on, or from another first number on."""
    return tuple(f"class {label}" for label in range(first, first + num_classes))


def ntu_classes(num_classes: int) -> tuple[str, ...]:
    """The actions of NTU RGB+D 60 or 120, the smaller set that has as many classes.

    A number that neither has gives numbered classes.
    """
    for actions in (NTU60_CLASSES, NTU120_CLASSES):
        if num_classes <= len(actions):
            return actions
    return numbered_classes(num_classes)


def describe_sample(name: str, label: int | None, parts: tuple[str, ...] = ()) -> SampleInfo:
    """What a name says of a sample: subject, camera and so on if it is one of NTU RGB+D.

    The label is the file's own, which may count actions in another way.
    """
    try:
        told = parse_sample_name(name)
    except DataError:
        return SampleInfo(name, label, parts=parts)
    return replace(told, label=label, parts=parts)


def is_from_ntu(info: SampleInfo) -> bool:
    """Whether the name of a sample is one of NTU RGB+D, and says the action that its label is."""
    try:
        return info.label in (None, parse_sample_name(info.name).label)
    except DataError:
        return False


def classes_of(infos: Iterable[SampleInfo], *, first: int = 0) -> tuple[str, ...]:
    """The classes of samples that carry labels only, none of which has a name.

    Those of NTU RGB+D where every name is one of its own and says the same action as the label;
    else numbered ones, by the numbers of the files, of which ``first`` is that of the first class.
    """
    rows = list(infos)
    num_classes = 1 + max((info.label for info in rows if info.label is not None), default=0)
    if all(is_from_ntu(info) for info in rows):
        return ntu_classes(num_classes)
    return numbered_classes(num_classes, first=first)
