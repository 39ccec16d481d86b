"""Where the recordings are that tests may read but the repository may not hold."""

import os
from pathlib import Path

import pytest

_VARIABLE = "SKELAB_SHARED"
_BESIDE = Path(__file__).resolve().parents[2] / "shared"


def shared_data(*parts: str) -> Path:
    """A file or folder of the shared recordings; skips the test where it is not there.

    They lie in the folder named by the environment variable SKELAB_SHARED, otherwise in a folder
    ``shared`` beside the repository.
    """
    path = Path(os.environ.get(_VARIABLE) or _BESIDE).joinpath("data", *parts)
    if not path.exists():
        pytest.skip(f"needs {path}; set {_VARIABLE} to the folder that holds data/")
    return path
