"""What holds for every test: shapes are checked, nothing depends on the machine or reaches out."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

# Before numpy and torch are imported, here and in the commands that tests start: one thread each,
# so that sums are formed in the same order everywhere and parallel tests do not fight for cores.
os.environ["OMP_NUM_THREADS"] = "1"
os.environ["MKL_NUM_THREADS"] = "1"
os.environ["OPENBLAS_NUM_THREADS"] = "1"
os.environ["MPLBACKEND"] = "Agg"
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["CUBLAS_WORKSPACE_CONFIG"] = ":4096:8"
# torch 2.3 has beartype check the types of its exporter, which fit no later onnxscript.
os.environ["TORCH_ONNX_EXPERIMENTAL_RUNTIME_TYPE_CHECK"] = "DISABLED"
for _name in ("COLUMNS", "FORCE_COLOR", "NO_COLOR", "PY_COLORS"):
    os.environ.pop(_name, None)

import jaxtyping

# Before skelab is imported: beartype checks each array's dtype and shape in every call.
jaxtyping.install_import_hook("skelab", "typecheck.check_types")

import hypothesis
import pytest

hypothesis.settings.register_profile(
    "repeatable", derandomize=True, deadline=None, print_blob=True, database=None
)
hypothesis.settings.load_profile("repeatable")

REPOSITORY = Path(__file__).resolve().parents[1]
LOOPBACK = ("127.", "::1", "localhost")


@pytest.fixture(scope="session")
def repository() -> Path:
    """The root of the checkout."""
    return REPOSITORY


@pytest.fixture(scope="session", autouse=True)
def scratch_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Tests run in an empty folder, so that a relative path never lands in the checkout."""
    before = Path.cwd()
    folder = tmp_path_factory.mktemp("scratch")
    cache = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        for name in ("XDG_CACHE_HOME", "XDG_CONFIG_HOME", "MPLCONFIGDIR", "HF_HOME", "TORCH_HOME"):
            patch.setenv(name, str(cache))
        os.chdir(folder)
        yield folder
        os.chdir(before)


@pytest.fixture(scope="session", autouse=True)
def no_network() -> Iterator[None]:
    """A connection to anything but this machine fails at once and says so."""
    connect, connect_ex = socket.socket.connect, socket.socket.connect_ex

    def guarded_connect(self: socket.socket, address: Any) -> None:
        _refuse_elsewhere(self, address)
        connect(self, address)

    def guarded_connect_ex(self: socket.socket, address: Any) -> int:
        _refuse_elsewhere(self, address)
        return connect_ex(self, address)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", guarded_connect)
        patch.setattr(socket.socket, "connect_ex", guarded_connect_ex)
        yield


def _refuse_elsewhere(end: socket.socket, address: Any) -> None:
    if end.family == socket.AF_UNIX or str(address[0]).startswith(LOOPBACK):
        return
    raise RuntimeError(f"a test reached out to {address}; tests work without a network")
