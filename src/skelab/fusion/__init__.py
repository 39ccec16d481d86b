"""Side-cars: features of pictures or other sensors beside skeletons, and how they are fused."""

from lazy_loader import attach_stub

__getattr__, __dir__, __all__ = attach_stub(__name__, __file__)
