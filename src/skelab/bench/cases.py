"""The cases of a benchmark: a network in a runtime and a precision."""

from dataclasses import asdict, dataclass, fields
from enum import StrEnum
from typing import Any

from skelab.inference.engines import Engine, get_engine
from skelab.training.config import Precision


class Runtime(StrEnum):
    """What computes a network."""

    EAGER = "eager"
    ONNX = "onnx"
    OPENVINO = "openvino"

    @property
    def engine(self) -> Engine:
        """The inference engine of the runtime."""
        names = {"eager": "torch", "onnx": "onnxruntime", "openvino": "openvino"}
        return get_engine(names[self.value])


@dataclass(frozen=True)
class BenchCase:
    """One network in one runtime and precision.

    Attributes:
        file: A checkpoint for ``eager``, otherwise its exported file.
        runtime: Runtime.
        precision: ``fp32`` or ``bf16``.
        shape: Input shape N C T V M.
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
        """Read a case from its JSON object."""
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
"""The combinations of runtime and precision."""
