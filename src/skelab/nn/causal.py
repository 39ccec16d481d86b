"""Causal layers, and their frame-by-frame inference.

:func:`make_causal` makes the temporal layers of a network causal, with the same weights and names:
a window that was centred on a frame then ends with it. A :class:`FrameMemory` buffers the earlier
frames that each layer needs, so that :func:`step` computes for each new frame what a pass over the
whole clip computes for it.
"""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn


class FrameMemory:
    """Buffers the earlier frames of a stream for the layers of a network."""

    def __init__(self) -> None:
        self._rings: dict[nn.Module, Tensor] = {}
        self._counts: dict[nn.Module, int] = {}

    def count(self, layer: nn.Module) -> int:
        """Count a frame of a layer; returns the number of earlier frames."""
        before = self._counts.get(layer, 0)
        self._counts[layer] = before + 1
        return before

    def ring(
        self, layer: nn.Module, frame: Float[Tensor, "N C 1 V"], length: int, empty: float = 0.0
    ) -> tuple[Float[Tensor, "N C R V"], int]:
        """Write a frame into the ring buffer of a layer; returns ring and number of earlier frames.

        Frame t is stored at index t modulo ``length``.

        Args:
            layer: The owner of the ring.
            frame: The newest frame.
            length: Capacity in frames.
            empty: Value of the frames before the first.
        """
        before = self.count(layer)
        ring = self._rings.get(layer)
        if ring is None:
            shape = (*frame.shape[:2], length, frame.shape[3])
            ring = self._rings[layer] = frame.new_full(shape, empty)
        ring[:, :, before % length] = frame[:, :, 0]
        return ring, before

    @property
    def num_bytes(self) -> int:
        """Memory of all rings."""
        return sum(ring.numel() * ring.element_size() for ring in self._rings.values())


@runtime_checkable
class Steps(Protocol):
    """A layer that needs earlier frames, or that has a temporal stride."""

    def step(
        self, x: Float[Tensor, "N C 1 V"], memory: FrameMemory
    ) -> Float[Tensor, "N D 1 V"] | None:
        """Output for the newest frame; None if the stride skips it."""


@runtime_checkable
class LooksBack(Protocol):
    """A layer that can make itself causal."""

    def look_back(self, horizon: int) -> None:
        """Depend on no later frame, and average over ``horizon`` frames of the layer's rate."""


def step(
    module: nn.Module, x: Float[Tensor, "N C 1 V"], memory: FrameMemory
) -> Float[Tensor, "N D 1 V"] | None:
    """Output of a causal module for the newest frame; None if a stride skips it.

    Layers without ``step`` process each frame independently.
    """
    if isinstance(module, Steps):
        return module.step(x, memory)
    if isinstance(module, nn.Sequential):
        frame: Tensor | None = x
        for layer in module:
            frame = step(layer, frame, memory) if frame is not None else None
        return frame
    made: Tensor = module(x)
    return made


def step_with_residual(
    layers: Sequence[nn.Module],
    residual: nn.Module | None,
    x: Float[Tensor, "N C 1 V"],
    memory: FrameMemory,
) -> Float[Tensor, "N D 1 V"] | None:
    """Output of a sequence of layers for the newest frame, plus its residual."""
    mixed: Tensor | None = x
    for layer in layers:
        mixed = step(layer, mixed, memory) if mixed is not None else None
    beside = None if residual is None else step(residual, x, memory)
    return mixed if mixed is None or beside is None else mixed + beside


class CausalConv2d(nn.Conv2d):
    """Causal temporal convolution, whose window ends with the frame; see :func:`make_causal`.

    Source: arXiv:1609.03499, section 2.1.
    """

    @property
    def reach(self) -> int:
        """Earlier frames in the window."""
        return (self.kernel_size[0] - 1) * self.dilation[0]

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002  the base's name
        """Every ``stride``-th frame from the first; the clip is padded with zeros in front."""
        return super().forward(F.pad(input, (0, 0, self.reach, 0)) if self.reach else input)

    def step(self, x: Tensor, memory: FrameMemory) -> Tensor | None:
        """Output for the newest frame; None if the stride skips it."""
        if self.reach == 0:
            skipped = memory.count(self) % self.stride[0]
            return None if skipped else F.conv2d(x, self.weight, self.bias)
        ring, before = memory.ring(self, x, self.reach + 1)
        if before % self.stride[0]:
            return None
        taps = range(before - self.reach, before + 1, self.dilation[0])
        places = torch.tensor([tap % (self.reach + 1) for tap in taps], device=x.device)
        return F.conv2d(ring.index_select(2, places), self.weight, self.bias)


class CausalMaxPool2d(nn.MaxPool2d):
    """Causal temporal max pooling, whose window ends with the frame; see :func:`make_causal`."""

    @property
    def frames(self) -> int:
        """Frames in the window."""
        return int(self.kernel_size[0])  # type: ignore[index]  # a pair, as our layers give it

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002  the base's name
        """Every ``stride``-th frame from the first; the clip is padded with -inf in front."""
        padded = F.pad(input, (0, 0, self.frames - 1, 0), value=-torch.inf)
        return F.max_pool2d(padded, self.kernel_size, self.stride)

    def step(self, x: Tensor, memory: FrameMemory) -> Tensor | None:
        """Output for the newest frame; None if the stride skips it."""
        ring, before = memory.ring(self, x, self.frames, empty=-torch.inf)
        if before % int(self.stride[0]):  # type: ignore[index]
            return None
        return ring.amax(dim=2, keepdim=True)


def running_mean(x: Float[Tensor, "N C T V"], horizon: int) -> Float[Tensor, "N C T V"]:
    """Mean of each frame and the frames before it, over at most ``horizon`` frames."""
    frames = x.shape[2]
    length = min(horizon, frames)
    sums = F.avg_pool2d(F.pad(x, (0, 0, length - 1, 0)), (length, 1), stride=1) * length
    counts = torch.arange(1, frames + 1, device=x.device).clamp(max=length)
    return sums / counts.to(x.dtype).view(-1, 1)


def make_causal(module: nn.Module, horizon: int) -> None:
    """Make all layers of a backbone causal; weights, their names and random draws are unchanged.

    Windows of temporal convolutions and max pooling end with their frame. Layers that average over
    the clip average over the latest ``horizon`` frames, counted at the frame rate of the input.

    Args:
        module: A sequence of blocks; strided blocks lower the frame rate of the blocks after them.
        horizon: Frames of the input, from 1.
    """
    rate = 1
    for block in module.children():
        for layer in block.modules():
            if isinstance(layer, nn.Conv2d) and (layer.kernel_size[0] > 1 or layer.stride[0] > 1):
                layer.__class__ = CausalConv2d
                layer.padding = (0, 0)
            elif isinstance(layer, nn.MaxPool2d):
                layer.__class__ = CausalMaxPool2d
                layer.padding = 0
            elif isinstance(layer, LooksBack):
                layer.look_back(max(1, -(-horizon // rate)))
        rate *= max(
            (layer.stride[0] for layer in block.modules() if isinstance(layer, nn.Conv2d)),
            default=1,
        )
