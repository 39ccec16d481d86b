"""Synthetic clips in the exact format of NTU RGB+D: kinematic bodies, seen by a faulty tracker."""

from skelab.synthetic.actions import SyntheticAction, list_actions
from skelab.synthetic.clips import synthetic_clip, synthetic_file
from skelab.synthetic.names import clip_names
from skelab.synthetic.sequences import Grammar, synthetic_sequence, write_sequences
from skelab.synthetic.writer import SyntheticSet, read_marker, write_synthetic

__all__ = [
    "Grammar",
    "SyntheticAction",
    "SyntheticSet",
    "clip_names",
    "list_actions",
    "read_marker",
    "synthetic_clip",
    "synthetic_file",
    "synthetic_sequence",
    "write_sequences",
    "write_synthetic",
]
