"""Data sources: recordings in the folders and files that the data sets come in."""

from skelab.data.recordings.base import FolderSource, HeldInMemory, Source, SourceItem
from skelab.data.recordings.custom import DATASET_FILE, CustomSource
from skelab.data.recordings.detect import holds_recordings, open_source
from skelab.data.recordings.ntu import SYNTHETIC_MARKER, NtuSource
from skelab.data.recordings.ntu_actions import NTU60_CLASSES, NTU120_CLASSES
from skelab.data.recordings.ntu_zip import NtuZipSource
from skelab.data.recordings.nw_ucla import NW_UCLA_CLASSES, NwUclaSource
from skelab.data.recordings.pku_mmd import PKU_MMD_CLASSES, PkuLabels, PkuMmdSource
from skelab.data.recordings.precog import PRECOG_CLASSES, PrecogSource
from skelab.data.recordings.pyskl import PysklSource
from skelab.data.recordings.sbu import SBU_CLASSES, SbuSource
from skelab.data.recordings.utd_mhad import UTD_MHAD_CLASSES, UtdMhadSource
from skelab.data.recordings.utkinect import UTKINECT_CLASSES, UtkinectSource

__all__ = [
    "DATASET_FILE",
    "NTU60_CLASSES",
    "NTU120_CLASSES",
    "NW_UCLA_CLASSES",
    "PKU_MMD_CLASSES",
    "PRECOG_CLASSES",
    "SBU_CLASSES",
    "SYNTHETIC_MARKER",
    "UTD_MHAD_CLASSES",
    "UTKINECT_CLASSES",
    "CustomSource",
    "FolderSource",
    "HeldInMemory",
    "NtuSource",
    "NtuZipSource",
    "NwUclaSource",
    "PkuLabels",
    "PkuMmdSource",
    "PrecogSource",
    "PysklSource",
    "SbuSource",
    "Source",
    "SourceItem",
    "UtdMhadSource",
    "UtkinectSource",
    "holds_recordings",
    "open_source",
]
