"""Compiled kernels behind Python functions, each with an equivalent in Python."""

from skelab.native.ctrgcn import PreparedArrays, can_prepare, prepare_recordings
from skelab.native.resample import can_resample, count_filled, resample_clips
from skelab.native.skeleton_text import TrackedPoses, available, read_plain_poses
from skelab.native.variance import column_variances

__all__ = [
    "PreparedArrays",
    "TrackedPoses",
    "available",
    "can_prepare",
    "can_resample",
    "column_variances",
    "count_filled",
    "prepare_recordings",
    "read_plain_poses",
    "resample_clips",
]
