"""The cases of a benchmark: a network in a runtime and a precision."""

from dataclasses import asdict, dataclass, fields
from enum import StrEnum
from typing import Any

from skelab.inference.engines import Engine, get_engine
from skelab.training.config import Precision


class Runtime(StrEnum):
    """What computes a network."""

    EAGER = "eager"
    COMPILE = "compile"
    ONNX = "onnx"
    OPENVINO = "openvino"
    NATIVE = "native"

    @property
    def engine(self) -> Engine:
        """The inference engine of the runtime; PyTorch, whose graph ``compile`` compiles."""
        names = {"eager": "torch", "compile": "torch", "onnx": "onnxruntime"}
        return get_engine(names.get(self.value, self.value))


@dataclass(frozen=True)
class BenchCase:
    """One network in one runtime and precision.

    Attributes:
        file: A checkpoint, or its exported file for ``onnx`` and ``openvino``.
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
    (Runtime.COMPILE, Precision.FP32),
    (Runtime.ONNX, Precision.FP32),
    (Runtime.OPENVINO, Precision.FP32),
    (Runtime.OPENVINO, Precision.BF16),
    (Runtime.NATIVE, Precision.FP32),
    (Runtime.NATIVE, Precision.BF16),
)
"""The combinations of runtime and precision."""

USUAL: tuple[Runtime, ...] = tuple(each for each in Runtime if each is not Runtime.COMPILE)
"""The runtimes that are measured unless others are asked for; compiling takes minutes."""
