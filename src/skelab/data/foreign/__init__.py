"""Clips that others have prepared: padded arrays, read where they lie."""

from skelab.data.foreign.clips import Part, PreparedClips
from skelab.data.foreign.npy_pkl import NpyClips, is_npy_pkl, open_npy_pkl
from skelab.data.foreign.npz import NpzClips, is_npz, open_npz
from skelab.data.foreign.row_names import read_samples, rebuild_names

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
