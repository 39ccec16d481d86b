"""A roofline model: times of operators from a device's speed, bandwidth and launch overhead."""

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float64
from numpy import ndarray

from skelab.fit.figures import Span
from skelab.fit.operators import Operators


@dataclass(frozen=True)
class Roofline:
    """The peak performance of a device, and the share that these networks reach.

    Attributes:
        flops: Operations per second in float32.
        half_flops: Operations per second in 16 bits, sums in 32 bits.
        convolution_flops: Operations per second of float32 convolutions.
        half_convolution_flops: The same of 16-bit convolutions; None for ``half_flops``.
        half_gradient_flops: The same for their gradients.
        bandwidth: Bytes per second.
        half_bandwidth: Bytes per second of 16-bit operators, which a CPU has to convert.
        launch: Minimum time between two consecutive kernels, seconds.
        slower: Factors over the best time: low, typical, high.
        launch_slower: The same for ``launch``, which depends on the host's CPU.
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
        """The time of a sequence of operators.

        Device and host work in parallel: the slower one determines the time.
        """
        busy = self.slower.times(float(self.best(operators).sum()))
        launched = self.launch_slower.times(self.launch * float(operators.kernels.sum()))
        return Span(
            max(busy.low, launched.low),
            max(busy.typical, launched.typical),
            max(busy.high, launched.high),
        )

    def best(self, operators: Operators) -> Float64[ndarray, " P"]:
        """The best time of each operator, seconds: the larger of compute and memory time."""
        convolves, derives = operators.is_convolution, operators.is_convolution_gradient
        full = np.where(convolves, self.convolution_flops, self.flops)
        half = np.where(convolves, self.half_convolution_flops or self.half_flops, self.half_flops)
        half = np.where(derives, self.half_gradient_flops or half, half)
        peak = np.where(operators.is_half, half, full)
        bandwidth = np.where(operators.is_half, self.half_bandwidth, self.bandwidth)
        return np.maximum(operators.flops / peak, operators.bytes / bandwidth)

    def is_launch_bound(self, operators: Operators) -> bool:
        """Whether the device waits for the host most of the time."""
        busy = self.slower.typical * float(self.best(operators).sum())
        return self.launch_slower.typical * self.launch * float(operators.kernels.sum()) > busy
