"""Recordings: what a source offers, and the readers of files that belong to no one data set.

The readers of the public data sets, and :func:`skelab.data.datasets.open_source` that chooses
among all of them, are in :mod:`skelab.data.datasets`.
"""

from skelab.data.recordings.base import FolderSource, HeldInMemory, Source, SourceItem
from skelab.data.recordings.card import DatasetCard
from skelab.data.recordings.custom import CustomSource
from skelab.data.recordings.custom_layout import DATASET_FILE
from skelab.data.recordings.ntu_actions import NTU60_CLASSES, NTU120_CLASSES
from skelab.data.recordings.pyskl import PysklSource

__all__ = [
    "DATASET_FILE",
    "NTU60_CLASSES",
    "NTU120_CLASSES",
    "CustomSource",
    "DatasetCard",
    "FolderSource",
    "HeldInMemory",
    "PysklSource",
    "Source",
    "SourceItem",
]
