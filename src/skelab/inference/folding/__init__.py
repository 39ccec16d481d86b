"""Checkpoints folded for compiled steps: norms merged into weights, channels laid out in lanes."""

from skelab.inference.folding.network import FoldedNetwork, can_fold, fold, foldable_families

__all__ = ["FoldedNetwork", "can_fold", "fold", "foldable_families"]
