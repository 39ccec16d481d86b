"""What is measured: networks, and the ways in which each can be run."""

from dataclasses import asdict, dataclass, fields
from enum import StrEnum
from typing import Any

from skelab.inference.engines import Engine, get_engine
from skelab.training.config import Precision


class Runtime(StrEnum):
    """Who computes."""

    EAGER = "eager"
    ONNX = "onnx"
    OPENVINO = "openvino"

    @property
    def engine(self) -> Engine:
        """The engine that opens and computes the network."""
        names = {"eager": "torch", "onnx": "onnxruntime", "openvino": "openvino"}
        return get_engine(names[self.value])


@dataclass(frozen=True)
class BenchCase:
    """One network, run in one way.

    Attributes:
        file: A checkpoint for ``eager``, else what was exported from it.
        runtime: Who computes.
        precision: ``fp32`` or ``bf16``.
        shape: N C T V M of an input.
        threads: Threads to compute with.
    """

    file: str
    runtime: Runtime
    precision: Precision
    shape: tuple[int, int, int, int, int]
    threads: int

    def to_dict(self) -> dict[str, Any]:
        """The case as a JSON object."""
        return {**asdict(self), "shape": list(self.shape)}

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> "BenchCase":
        """The case that ``to_dict`` described."""
        known = {field.name: content[field.name] for field in fields(cls)}
        known["runtime"] = Runtime(known["runtime"])
        known["precision"] = Precision(known["precision"])
        known["shape"] = tuple(known["shape"])
        return cls(**known)


WAYS: tuple[tuple[Runtime, Precision], ...] = (
    (Runtime.EAGER, Precision.FP32),
    (Runtime.EAGER, Precision.BF16),
    (Runtime.ONNX, Precision.FP32),
    (Runtime.OPENVINO, Precision.FP32),
    (Runtime.OPENVINO, Precision.BF16),
)
"""In which ways a network can be run."""
