"""Compiled kernels behind Python functions, each with a twin that needs no compiler."""

from skelab.native.resample import can_resample, resample_clips
from skelab.native.skeleton_text import TrackedPoses, available, read_plain_poses
from skelab.native.variance import column_variances

__all__ = [
    "TrackedPoses",
    "available",
    "can_resample",
    "column_variances",
    "read_plain_poses",
    "resample_clips",
]
