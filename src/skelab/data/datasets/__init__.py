"""The public data sets: one module each, with its card and its reader.

A module here whose name has no leading underscore is a data set, or a family of them, and has
``CARDS``, a tuple of :class:`DatasetCard`. It is found by being here: nothing else lists it.
"""

from skelab.data.datasets._catalogue import (
    check_split,
    find_datasets,
    get_dataset,
    list_datasets,
    list_splits,
    parse_split,
    people_of,
)
from skelab.data.datasets._detect import holds_recordings, open_source

__all__ = [
    "check_split",
    "find_datasets",
    "get_dataset",
    "holds_recordings",
    "list_datasets",
    "list_splits",
    "open_source",
    "parse_split",
    "people_of",
]
