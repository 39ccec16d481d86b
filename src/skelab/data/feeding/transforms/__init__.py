"""Transforms of the feeder: one protocol, one axis order, and their settings in a recipe."""

from lazy_loader import attach_stub

__getattr__, __dir__, __all__ = attach_stub(__name__, __file__)
