"""Clips that others have prepared: padded arrays, read where they lie."""

from skelab.data.prepared.clips import Part, PreparedClips
from skelab.data.prepared.npy_pkl import NpyClips, is_npy_pkl, open_npy_pkl
from skelab.data.prepared.npz import NpzClips, is_npz, open_npz
from skelab.data.prepared.row_names import read_samples, rebuild_names

__all__ = [
    "NpyClips",
    "NpzClips",
    "Part",
    "PreparedClips",
    "is_npy_pkl",
    "is_npz",
    "open_npy_pkl",
    "open_npz",
    "read_samples",
    "rebuild_names",
]
