"""Predicted costs of a configuration, from traces and the data of a device."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from skelab.fit.figures import (
    Configuration,
    Cost,
    DoesNotFitError,
    MemoryParts,
    NotTriedError,
    Span,
)
from skelab.fit.gpus import GIB, MIB, GpuModel, find_gpu, typical_gpu
from skelab.fit.prefetch import TracePrefetcher, TraceRequest
from skelab.fit.roofline import Roofline
from skelab.fit.trace import Trace
from skelab.training.config import Precision

CONTEXT: Final = 700 * MIB
"""Memory of driver and libraries on a GPU before any computation, bytes."""

_GPU_SLOWER: Final = Span(1.2, 1.8, 3.0)
_LAPTOP_SLOWER: Final = Span(1.2, 2.0, 4.0)
_CPU_SLOWER: Final = Span(0.7, 1.5, 3.2)
_GPU_LAUNCH: Final = 5e-6  # seconds
_GPU_LAUNCH_SLOWER: Final = Span(1.0, 1.8, 4.0)
_CPU_LAUNCH: Final = 4e-6
_CPU_LAUNCH_SLOWER: Final = Span(1.0, 1.5, 3.0)
_TF32_FROM: Final = (8, 0)

_APEX_NOTES: Final[Mapping[Precision, str]] = {
    Precision.APEX_O1: "Predicted as fp16, which does the same with PyTorch alone.",
    Precision.APEX_O2: (
        "Predicted as fp16, with a float16 copy of weights and gradients beside the float32 ones."
    ),
}


_MISSES: Final[Mapping[str, str]] = {
    "msg3d": (
        "Its authors report about 11 GB for 16 clips of 300 frames in half precision, a fifth"
        " more than is predicted of this network: their code copies every window, this does not."
    ),
    "ctrgcn": (
        "Others print 353 clips a second on an RTX 2080 Ti, about twice what is predicted at most;"
        " whether on one card, and whether in training, is not known."
    ),
    "stgcnpp": (
        "Others print 3458 MiB for 16 clips of 100 frames, a quarter more than is predicted; a ReLU"
        " that keeps its input, as PyTorch had it before 1.10, accounts for it."
    ),
}
"""Published figures of a family that lie outside the prediction."""


@dataclass(frozen=True)
class PredictedDevice:
    """A device described by its data sheet; nothing is run on it.

    Attributes:
        name: Its name.
        memory_limit: Memory that programs can use, with the context, bytes.
        roofline: Its speed.
        is_gpu: Whether PyTorch uses its GPU code paths and allocator.
        context: Memory before any computation, bytes.
        lacks: The reason why it cannot compute in a precision; empty if it can.
        remark: A caveat that holds for all times.
        facts: Further description for reports.
        prefetcher: Traces in worker processes; by default all is traced in this one.
    """

    name: str
    memory_limit: int
    roofline: Roofline
    is_gpu: bool
    context: int
    lacks: Callable[[Precision], str] = field(repr=False)
    remark: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)
    prefetcher: TracePrefetcher | None = field(default=None, repr=False)

    @classmethod
    def of_gpu(cls, gpu: GpuModel, remark: str = "") -> "PredictedDevice":
        """The device of an entry in the table of GPUs."""
        has_tf32 = gpu.has_tensor_cores and gpu.capability >= _TF32_FROM
        roofline = Roofline(
            flops=gpu.flops,
            half_flops=gpu.half_flops,
            convolution_flops=max(gpu.flops, gpu.half_flops / 2 if has_tf32 else 0.0),
            bandwidth=gpu.bandwidth,
            half_bandwidth=gpu.bandwidth,
            launch=_GPU_LAUNCH,
            slower=_LAPTOP_SLOWER if gpu.is_laptop else _GPU_SLOWER,
            launch_slower=_GPU_LAUNCH_SLOWER,
        )
        facts = {
            "capability": ".".join(map(str, gpu.capability)),
            "tensor_cores": gpu.has_tensor_cores,
            "ecc": gpu.has_ecc,
            "laptop": gpu.is_laptop,
            "source": gpu.source,
            "checked": gpu.checked,
        }
        return cls(gpu.name, gpu.usable, roofline, True, CONTEXT, gpu.lacks, remark, facts)

    @classmethod
    def named(cls, name: str, memory: int | None = None) -> "PredictedDevice":
        """A GPU of the table.

        Args:
            name: A name that :func:`skelab.fit.gpus.find_gpu` accepts.
            memory: Memory of the card if it differs, bytes.

        Raises:
            GpuError: There is no GPU of that name.
        """
        return cls.of_gpu(find_gpu(name, memory))

    @classmethod
    def of_memory(cls, memory: int) -> "PredictedDevice":
        """Any card with this much memory; its times are those of a typical card of that size."""
        gpu = typical_gpu(memory)
        size = f"{memory / GIB:g} GB"
        remark = f"Times are those of an {gpu.name}, which stands for cards of about {size}."
        return replace(cls.of_gpu(gpu, remark), name=f"a card of {size}")

    @classmethod
    def processor(
        cls,
        name: str,
        *,
        flops: float,
        half_flops: float,
        bandwidth: float,
        memory_limit: int,
        half_convolution_flops: float | None = None,
        half_gradient_flops: float | None = None,
        context: int = 0,
    ) -> "PredictedDevice":
        """A CPU whose peaks were measured.

        Args:
            name: Its name.
            flops: Operations a second in float32.
            half_flops: Operations a second in bfloat16.
            bandwidth: Bytes a second from memory.
            memory_limit: Bytes that the process may use.
            half_convolution_flops: Operations per second of convolutions in bfloat16; a CPU without
                instructions for it computes them differently from matrix products.
            half_gradient_flops: The same for their gradients.
            context: Memory before any computation, bytes.
        """
        roofline = Roofline(
            flops=flops,
            half_flops=half_flops,
            convolution_flops=flops,
            bandwidth=bandwidth,
            half_bandwidth=bandwidth / 2,
            launch=_CPU_LAUNCH,
            slower=_CPU_SLOWER,
            launch_slower=_CPU_LAUNCH_SLOWER,
            half_convolution_flops=half_convolution_flops,
            half_gradient_flops=half_gradient_flops,
        )
        return cls(name, memory_limit, roofline, False, context, _cpu_lacks)

    @property
    def measured(self) -> bool:
        """False: the figures are predicted."""
        return False

    def training(self, configuration: Configuration) -> Cost:
        """A training step of one micro-batch: forward, backward, optimiser.

        Raises:
            DoesNotFitError: It needs more memory than the device has.
            NotTriedError: The network cannot be traced, or the device lacks the precision.
        """
        trace = self._trace(configuration, training=True)
        cost = self._cost(configuration, trace, accumulates=_accumulates(configuration))
        missed = _MISSES.get(configuration.recipe.model.name, "") if self.is_gpu else ""
        return replace(cost, note=" ".join(filter(None, [cost.note, missed])))

    def inference(self, configuration: Configuration) -> Cost:
        """One forward pass of a micro-batch, without gradients.

        Raises:
            DoesNotFitError: It needs more memory than the device has.
            NotTriedError: The network cannot be traced, or the device lacks the precision.
        """
        return self._cost(configuration, self._trace(configuration, training=False))

    def largest_micro_batch(self, configuration: Configuration, limit: int) -> int:
        """The largest micro-batch that fits, at most the recipe's batch size; 0 if none does.

        Args:
            configuration: Its micro-batch is ignored.
            limit: Memory that may be used, with the context, bytes.

        Raises:
            NotTriedError: The network cannot be traced, or the device lacks the precision.
        """
        trace = self._trace(configuration, training=True)
        fits, too_many = 0, configuration.recipe.training.batch_size + 1
        while too_many - fits > 1:
            clips = (fits + too_many) // 2
            if self._fits(configuration.with_micro_batch(clips), trace, limit):
                fits = clips
            else:
                too_many = clips
        return fits

    def describe(self) -> dict[str, Any]:
        """A description of the device for the report."""
        return {
            "name": self.name,
            "predicted": True,
            "memory_bytes": self.memory_limit,
            "context_bytes": self.context,
            "bandwidth": self.roofline.bandwidth,
            "flops": self.roofline.flops,
            "half_flops": self.roofline.half_flops,
            **self.facts,
        }

    def _trace(self, configuration: Configuration, *, training: bool) -> Trace:
        lacks = self.lacks(configuration.recipe.precision)
        if lacks:
            raise NotTriedError(lacks)
        wanted = TraceRequest(configuration, training, self.is_gpu)
        return wanted.make() if self.prefetcher is None else self.prefetcher.get(wanted)

    def _cost(
        self, configuration: Configuration, trace: Trace, *, accumulates: bool = False
    ) -> Cost:
        memory = self._memory(configuration, trace, accumulates=accumulates)
        if memory.total > self.memory_limit:
            raise DoesNotFitError(
                f"{memory.total / GIB:.1f} GB are needed for {configuration.micro_batch} clips at"
                f" once, {self.memory_limit / GIB:.1f} GB are there"
            )
        operators = trace.operators_of(configuration.micro_batch)
        notes = [self.remark, _APEX_NOTES.get(configuration.recipe.precision, "")]
        if self.roofline.is_launch_bound(operators):
            notes.append("With so few clips at once the device waits for the processor.")
        return Cost(memory, self.roofline.seconds(operators), " ".join(filter(None, notes)))

    def _fits(self, configuration: Configuration, trace: Trace, limit: int) -> bool:
        accumulates = _accumulates(configuration)
        if self.is_gpu and configuration.recipe.precision is not Precision.APEX_O2:
            room = limit - self.context
            return trace.fits_gpu(configuration.micro_batch, room, accumulates=accumulates)
        return self._memory(configuration, trace, accumulates=accumulates).total <= limit

    def _memory(
        self, configuration: Configuration, trace: Trace, *, accumulates: bool
    ) -> MemoryParts:
        clips = configuration.micro_batch
        if not self.is_gpu:
            memory = trace.cpu_memory(clips, accumulates=accumulates)
            return replace(memory, context=self.context)
        memory = trace.gpu_memory(clips, accumulates=accumulates)
        if configuration.recipe.precision is Precision.APEX_O2:
            memory = replace(
                memory,
                weights=memory.weights * 3 // 2,
                gradients=memory.gradients * 3 // 2,
            )
        return replace(memory, context=self.context)


def _accumulates(configuration: Configuration) -> bool:
    """Whether a step has several micro-batches, so that gradients are kept between them."""
    return configuration.micro_batch < configuration.recipe.training.batch_size


def _cpu_lacks(precision: Precision) -> str:
    if precision in (Precision.FP32, Precision.BF16):
        return ""
    return f"precision {precision.value} needs a GPU"
