"""Networks as programs of compiled steps, one build for each instruction set.

The steps are written in C++ (``networks/*.h``) and compiled several times; the best build that the
processor can run is taken, or the one that ``SKELAB_ISA`` names. Without a compiler there is none,
and PyTorch computes.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Final

import numpy as np
from jaxtyping import Bool, Float32, Int64, Shaped
from numpy import ndarray

from skelab.errors import NetworkError, unknown_name

VARIABLE: Final = "SKELAB_ISA"
"""The environment variable that names an instruction set."""

INSTRUCTION_SETS: Final = ("avx512bf16", "avx512", "avx2", "baseline")
"""What the steps are compiled for, the best first."""

FEWEST_LANES_TO_GAIN: Final = 8
"""Floats of a vector below which PyTorch, whose kernels are not so bound, may be as fast."""

Array = Float32[ndarray, "..."]


@dataclass(frozen=True)
class TensorPlan:
    """Activations of one body: frames x joints x lanes.

    Attributes:
        slot: Memory; tensors that are not needed at the same time may share one.
        lanes: Channels, padded to whole vectors.
        stride: Frames of the clip from one of its frames to the next.
        halo: Frames of zeros before the first frame and after the last.
    """

    slot: int
    lanes: int
    stride: int
    halo: int


@dataclass(frozen=True)
class StepPlan:
    """One step of a program: its name, and the numbers and arrays that it expects in this order."""

    name: str
    numbers: tuple[int, ...]
    arrays: tuple[Array, ...] = field(default=(), repr=False)


@dataclass(frozen=True)
class ProgramPlan:
    """What a network does to the joints of one body.

    Attributes:
        channels: C of the clips.
        joints: V of the clips.
        tensors: The activations.
        steps: What is done, in order; the last gives the result.
    """

    channels: int
    joints: int
    tensors: tuple[TensorPlan, ...]
    steps: tuple[StepPlan, ...]


class Program:
    """A network that is ready to compute on single bodies; made by ``Kernels.assemble``.

    Several threads may use it at once.
    """

    def __init__(self, module: Any, plan: ProgramPlan, precision: str) -> None:
        self._module = module
        self._clip = (plan.channels, plan.joints)
        tensors = tuple((each.slot, each.lanes, each.stride, each.halo) for each in plan.tensors)
        steps = tuple(
            (step.name, step.numbers, tuple(map(_as_float32, step.arrays))) for step in plan.steps
        )
        self._program = module.make_program(precision, plan.channels, plan.joints, tensors, steps)

    def run(
        self,
        clips: Shaped[ndarray, "..."],
        rows: Sequence[int] | Int64[ndarray, " B"],
        threads: int = 1,
    ) -> Float32[ndarray, "B F"]:
        """What comes out for some bodies of clips N C T V M, float32.

        Args:
            clips: The clips.
            rows: Which bodies; body m of clip n is row n * M + m.
            threads: Threads to share the bodies out to.

        Raises:
            NetworkError: The clips are not float32, have other axes than the program, none of
                them or a number that is not finite; a row is out of range; or there is no thread.
        """
        clips = self._checked(clips)
        chosen = np.asarray(rows, dtype=np.int64).reshape(-1)
        bodies = clips.shape[0] * clips.shape[4]
        if ((chosen < 0) | (chosen >= bodies)).any():
            raise NetworkError(
                f"native kernels: expected rows from 0 to {bodies - 1}, found others"
            )
        if threads < 1:
            raise NetworkError(f"native kernels: expected at least one thread, found {threads}")
        out = np.empty((len(chosen), self.outputs(clips.shape[2])), dtype=np.float32)
        if len(chosen):
            self._module.run_program(
                self._program, clips, clips.shape, chosen.astype(np.int32), out, threads
            )
        return out

    def outputs(self, frames: int) -> int:
        """Numbers that come out for a body of clips of so many frames."""
        return int(self._module.count_outputs(self._program, frames))

    def present(self, clips: Shaped[ndarray, "..."]) -> Bool[ndarray, "N M"]:
        """Which bodies of clips N C T V M are there: those of which some number is not zero.

        Raises:
            NetworkError: As in ``run``.
        """
        clips = self._checked(clips)
        found = self._module.find_present(clips, clips.shape)
        return np.frombuffer(found, dtype=np.bool_).reshape(clips.shape[0], clips.shape[4])

    def _checked(self, clips: Shaped[ndarray, "..."]) -> Float32[ndarray, "N C T V M"]:
        channels, joints = self._clip
        fits = clips.ndim == 5 and clips.size > 0
        if not fits or (clips.shape[1], clips.shape[3]) != self._clip:
            raise NetworkError(
                f"native kernels: expected clips N x {channels} x T x {joints} x M (channels,"
                f" frames, joints, bodies), none of them 0, found"
                f" {' x '.join(map(str, clips.shape))}"
            )
        if clips.dtype != np.float32:
            raise NetworkError(f"native kernels: expected float32, found {clips.dtype}")
        if not np.isfinite(clips).all():
            raise NetworkError("native kernels: expected finite numbers, found NaN or infinity")
        return np.ascontiguousarray(clips)


@dataclass(frozen=True)
class Kernels:
    """The compiled steps of one instruction set.

    Attributes:
        name: The instruction set.
        lanes: Floats of a vector; channels of tensors are padded to a multiple.
        precisions: Number formats that it multiplies.
    """

    name: str
    lanes: int
    precisions: tuple[str, ...]
    _module: Any = field(repr=False)

    def assemble(self, plan: ProgramPlan, precision: str = "fp32") -> Program:
        """The program of a plan, its weights laid out as the kernels read them.

        Raises:
            NetworkError: The instruction set does not multiply in ``precision``.
            ValueError: The plan contradicts itself.
        """
        if precision not in self.precisions:
            raise NetworkError(
                f"native kernels: instruction set {self.name} computes in"
                f" {', '.join(self.precisions)}, found {precision!r}"
            )
        return Program(self._module, plan, precision)

    def measure_peak(self) -> float:
        """Floating-point operations a second that one core reaches in a loop without memory."""
        return float(self._module.measure_peak())


def built_instruction_sets() -> tuple[str, ...]:
    """The instruction sets that were compiled and that the processor can run, the best first."""
    return tuple(name for name in INSTRUCTION_SETS if _supported().get(name))


def can_compute() -> bool:
    """Whether networks can be computed here by compiled steps."""
    return bool(built_instruction_sets())


def get_kernels(name: str | None = None) -> Kernels:
    """The steps compiled for an instruction set.

    Args:
        name: The instruction set; None takes the one that ``SKELAB_ISA`` names, or else the best.

    Raises:
        NetworkError: The name is unknown, or the processor or the installation lacks it.
    """
    wanted = name or os.environ.get(VARIABLE) or None
    usable = built_instruction_sets()
    if wanted is None and not usable:
        raise NetworkError(
            "native kernels: they were not compiled; install a C++17 compiler and then the package"
            " again from its source"
        )
    if wanted is not None and wanted not in INSTRUCTION_SETS:
        raise NetworkError(unknown_name(f"instruction set ({VARIABLE})", wanted, INSTRUCTION_SETS))
    if wanted is not None and wanted not in usable:
        where = "the installation" if _supported().get(wanted) is None else "this processor"
        raise NetworkError(
            f"{VARIABLE}: {where} does not have {wanted}; expected one of:"
            f" {', '.join(usable) or 'none, since no kernel was compiled'}"
        )
    return _load(wanted or usable[0])


@lru_cache
def _load(name: str) -> Kernels:
    module = import_module(f"skelab.native._networks_{name}")
    precisions = ("fp32", "bf16") if name == "avx512bf16" else ("fp32",)
    return Kernels(name, module.LANES, precisions, module)


@lru_cache
def _supported() -> dict[str, bool]:
    """Of each instruction set that was compiled, whether the processor has it."""
    try:
        from skelab.native import _networks_baseline as baseline
    except ImportError:  # built without a compiler, or for another machine
        return {}
    avx2, avx512, bf16 = baseline.list_supported()
    has = {"baseline": True, "avx2": avx2, "avx512": avx512, "avx512bf16": bf16}
    return {name: has[name] for name in INSTRUCTION_SETS if _is_built(name)}


def _is_built(name: str) -> bool:
    return find_spec(f"skelab.native._networks_{name}") is not None


def _as_float32(array: Array) -> Array:
    return np.ascontiguousarray(array, dtype=np.float32)
