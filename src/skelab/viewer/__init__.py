"""Clips to look at: a page with a player, pictures, films; and what a network's answer hangs on."""

from lazy_loader import attach_stub

__getattr__, __dir__, __all__ = attach_stub(__name__, __file__)
