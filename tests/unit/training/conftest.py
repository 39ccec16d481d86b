"""What the tests of training share: a network of a few weights, and a store of a few clips."""

import pytest
from tiny_clips import tiny_store
from tiny_run import tiny_family

from skelab.data.store import ClipStore

__all__ = ["tiny_family"]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> ClipStore:
    """Twenty-four clips of four subjects."""
    return tiny_store(tmp_path_factory.mktemp("clips") / "clips.arrow")
