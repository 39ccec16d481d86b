"""Skeleton Action Lab: action recognition from human skeletons, on one ordinary machine.

The public face is ``__all__``; ``__init__.pyi`` lists its names and where they live. A name is
loaded when it is first used, so that ``import skelab`` needs no PyTorch until a network does.
"""

from lazy_loader import attach_stub

__getattr__, __dir__, __all__ = attach_stub(__name__, __file__)
