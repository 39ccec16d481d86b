"""The family ``tiny``, and one network of it as a file of each kind."""

from exported_networks import checkpoint, exports
from tiny_run import tiny_family

__all__ = ["checkpoint", "exports", "tiny_family"]
