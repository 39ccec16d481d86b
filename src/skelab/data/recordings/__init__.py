"""Data sources: recordings in the folders and files that the data sets come in."""

from skelab.data.recordings.base import FolderSource, HeldInMemory, Source, SourceItem
from skelab.data.recordings.custom import DATASET_FILE, CustomSource
from skelab.data.recordings.detect import holds_recordings, open_source
from skelab.data.recordings.ntu import SYNTHETIC_MARKER, NtuSource
from skelab.data.recordings.ntu_actions import NTU60_CLASSES, NTU120_CLASSES
from skelab.data.recordings.ntu_zip import NtuZipSource
from skelab.data.recordings.nw_ucla import NW_UCLA_CLASSES, NwUclaSource
from skelab.data.recordings.pyskl import PysklSource
from skelab.data.recordings.sbu import SBU_CLASSES, SbuSource
from skelab.data.recordings.utd_mhad import UTD_MHAD_CLASSES, UtdMhadSource

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
