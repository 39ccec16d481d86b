"""Times from figures of a device: what operators compute and move, and what a launch costs."""

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float64
from numpy import ndarray

from skelab.fit.figures import Span
from skelab.fit.operators import Operators


@dataclass(frozen=True)
class Roofline:
    """What a device can do at best, and what of it these networks get.

    Attributes:
        flops: Operations a second in float32.
        half_flops: Operations a second in 16 bits, sums in 32 bits.
        convolution_flops: Operations a second of float32 convolutions.
        half_convolution_flops: Operations a second of 16-bit convolutions; None for ``half_flops``.
        half_gradient_flops: The same of their gradients.
        bandwidth: Bytes a second.
        half_bandwidth: Bytes a second of operators in 16 bits, which a processor has to convert.
        launch: Seconds between two kernels that follow one another, at least.
        slower: How many times longer than at best: low, typical, high.
        launch_slower: The same of ``launch``, which depends on the processor beside the device.
    """

    flops: float
    half_flops: float
    convolution_flops: float
    bandwidth: float
    half_bandwidth: float
    launch: float
    slower: Span
    launch_slower: Span = field(default_factory=lambda: Span(1.0, 1.0, 1.0))
    half_convolution_flops: float | None = None
    half_gradient_flops: float | None = None

    def seconds(self, operators: Operators) -> Span:
        """How long some operators take, one after the other.

        Device and processor work side by side: whichever is slower counts.
        """
        busy = self.slower.times(float(self.best(operators).sum()))
        launched = self.launch_slower.times(self.launch * float(operators.kernels.sum()))
        return Span(
            max(busy.low, launched.low),
            max(busy.typical, launched.typical),
            max(busy.high, launched.high),
        )

    def best(self, operators: Operators) -> Float64[ndarray, " P"]:
        """Seconds of each operator at best: it computes or it moves, whichever takes longer."""
        convolves, derives = operators.is_convolution, operators.is_convolution_gradient
        full = np.where(convolves, self.convolution_flops, self.flops)
        half = np.where(convolves, self.half_convolution_flops or self.half_flops, self.half_flops)
        half = np.where(derives, self.half_gradient_flops or half, half)
        peak = np.where(operators.is_half, half, full)
        bandwidth = np.where(operators.is_half, self.half_bandwidth, self.bandwidth)
        return np.maximum(operators.flops / peak, operators.bytes / bandwidth)

    def is_launch_bound(self, operators: Operators) -> bool:
        """Whether the device waits for the processor most of the time."""
        busy = self.slower.typical * float(self.best(operators).sum())
        return self.launch_slower.typical * self.launch * float(operators.kernels.sum()) > busy
