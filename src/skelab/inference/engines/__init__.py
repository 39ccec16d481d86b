"""Engines: what computes a network. Each registers itself with one call in a file of its own."""

from skelab.inference.engines import native as _native  # noqa: F401
from skelab.inference.engines import onnx_runtime as _onnx_runtime  # noqa: F401
from skelab.inference.engines import openvino_runtime as _openvino_runtime  # noqa: F401
from skelab.inference.engines import pytorch as _pytorch  # noqa: F401
from skelab.inference.engines.registry import (
    FASTEST,
    Engine,
    EngineOptions,
    Forward,
    choose_engine,
    get_engine,
    list_engines,
    load_network,
    register_engine,
)

__all__ = [
    "FASTEST",
    "Engine",
    "EngineOptions",
    "Forward",
    "choose_engine",
    "get_engine",
    "list_engines",
    "load_network",
    "register_engine",
]
