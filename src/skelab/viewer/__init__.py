"""Views clips: a page with a player, pictures, films, and explanations of predictions."""

from lazy_loader import attach_stub

__getattr__, __dir__, __all__ = attach_stub(__name__, __file__)
