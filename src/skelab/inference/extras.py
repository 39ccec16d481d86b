"""The packages of the extra ``export``, imported when they are needed."""

import logging
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any, Final

from skelab.errors import ExportError

INSTALL: Final = "pip install 'skeleton-action-lab[export]'"
"""The command that installs the extra."""

_TELEMETRY: Final = "openvino_telemetry"


def need(package: str) -> Any:
    """Import a package of the extra ``export``.

    Raises:
        ExportError: It is not installed; the message has the command that installs it.
    """
    try:
        return import_module(package)
    except ImportError as error:
        raise ExportError(
            f"this needs the package {package.partition('.')[0]}, which cannot be imported"
            f" ({error}): {INSTALL}"
        ) from None


def need_openvino() -> Any:
    """Import OpenVINO without its telemetry, which otherwise reports the import to its makers.

    Raises:
        ExportError: It is not installed; the message has the command that installs it.
    """
    if "openvino" in sys.modules or _TELEMETRY in sys.modules:
        return need("openvino")
    sys.modules[_TELEMETRY] = None  # type: ignore[assignment]  # importing it fails, as if absent
    try:
        return need("openvino")
    finally:
        del sys.modules[_TELEMETRY]


@contextmanager
def without_chatter() -> Iterator[None]:
    """Keep what exporters say of their own inner workings off the user's screen."""
    disabled = logging.root.manager.disable
    logging.disable(logging.WARNING)  # some of them warn through the root logger
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(disabled)
