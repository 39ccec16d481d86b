"""Data sources: the folders that the data sets come in, read as they are."""

from skelab.data.sources.base import FolderSource, Source, SourceItem
from skelab.data.sources.detect import open_source
from skelab.data.sources.ntu import SYNTHETIC_MARKER, NtuSource
from skelab.data.sources.ntu_actions import NTU60_CLASSES, NTU120_CLASSES
from skelab.data.sources.nw_ucla import NW_UCLA_CLASSES, NwUclaSource
from skelab.data.sources.sbu import SBU_CLASSES, SbuSource
from skelab.data.sources.utd_mhad import UTD_MHAD_CLASSES, UtdMhadSource

__all__ = [
    "NTU60_CLASSES",
    "NTU120_CLASSES",
    "NW_UCLA_CLASSES",
    "SBU_CLASSES",
    "SYNTHETIC_MARKER",
    "UTD_MHAD_CLASSES",
    "FolderSource",
    "NtuSource",
    "NwUclaSource",
    "SbuSource",
    "Source",
    "SourceItem",
    "UtdMhadSource",
    "open_source",
]
