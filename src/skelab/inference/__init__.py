"""Trained networks: checkpoints and exported files, what computes them, scores and predictions."""

from lazy_loader import attach_stub

__getattr__, __dir__, __all__ = attach_stub(__name__, __file__)
