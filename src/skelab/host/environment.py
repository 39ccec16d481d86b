"""The environment of a result: versions, device, commit; nothing that identifies a machine."""

import os
import platform
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

from skelab._version import __version__

_PACKAGES = ("torch", "numpy", "accelerate", "pyarrow", "safetensors", "pydantic")


def describe_environment() -> dict[str, Any]:
    """Versions, processor and commit, as a JSON object."""
    return {
        "skelab": __version__,
        "commit": _commit(),
        "python": platform.python_version(),
        "packages": {name: metadata.version(name) for name in _PACKAGES},
        "system": platform.system(),
        "machine": platform.machine(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu",
    }


def _commit() -> str | None:
    """The commit of a source checkout; None for an installed package."""
    here = Path(__file__).resolve()
    git = ["git", "-C", str(here.parent)]
    tracked = [
        *git,
        "ls-files",
        "--error-unmatch",
        here.name,
    ]  # not of one around a venv
    describe = [*git, "describe", "--always", "--dirty", "--abbrev=12"]
    try:
        for command in (tracked, describe):
            found = subprocess.run(  # noqa: S603
                command, capture_output=True, text=True, check=True, timeout=10
            )
    except (OSError, subprocess.SubprocessError):
        return None
    return found.stdout.strip() or None
