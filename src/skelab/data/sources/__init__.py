"""Data sources: recordings in the folders and files that the data sets come in."""

from skelab.data.sources.base import FolderSource, HeldInMemory, Source, SourceItem
from skelab.data.sources.custom import DATASET_FILE, CustomSource
from skelab.data.sources.detect import holds_recordings, open_source
from skelab.data.sources.ntu import SYNTHETIC_MARKER, NtuSource
from skelab.data.sources.ntu_actions import NTU60_CLASSES, NTU120_CLASSES
from skelab.data.sources.ntu_zip import NtuZipSource
from skelab.data.sources.nw_ucla import NW_UCLA_CLASSES, NwUclaSource
from skelab.data.sources.pyskl import PysklSource
from skelab.data.sources.sbu import SBU_CLASSES, SbuSource
from skelab.data.sources.utd_mhad import UTD_MHAD_CLASSES, UtdMhadSource

__all__ = [
    "DATASET_FILE",
    "NTU60_CLASSES",
    "NTU120_CLASSES",
    "NW_UCLA_CLASSES",
    "SBU_CLASSES",
    "SYNTHETIC_MARKER",
    "UTD_MHAD_CLASSES",
    "CustomSource",
    "FolderSource",
    "HeldInMemory",
    "NtuSource",
    "NtuZipSource",
    "NwUclaSource",
    "PysklSource",
    "SbuSource",
    "Source",
    "SourceItem",
    "UtdMhadSource",
    "holds_recordings",
    "open_source",
]
