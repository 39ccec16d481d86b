"""A running average of the weights, which often is right more often than the last weights."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn


class WeightAverage:
    """Exponential moving average of a model's parameters and buffers.

    In the first steps the decay is lower, (1 + t) / (10 + t) after t steps, so that the average
    soon forgets the weights that a run began with. Whole numbers, such as the batches that a batch
    norm has seen, are taken over and not averaged.

    Args:
        model: What is averaged; the average begins with its weights.
        decay: Share of the average that a step keeps.

    Source: Polyak and Juditsky, 1992; the warm-up is that of TensorFlow's
    ``ExponentialMovingAverage``.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self.steps = 0
        self._tensors = {name: value.detach().clone() for name, value in _state(model).items()}

    def update(self, model: nn.Module) -> None:
        """Take in the weights after a step."""
        decay = min(self.decay, (1 + self.steps) / (10 + self.steps))
        self.steps += 1
        with torch.no_grad():
            for name, value in _state(model).items():
                if value.is_floating_point():
                    self._tensors[name].lerp_(value, 1 - decay)
                else:
                    self._tensors[name].copy_(value)

    def tensors(self) -> dict[str, Tensor]:
        """The average, as a state dict."""
        return dict(self._tensors)

    def restore(self, tensors: Mapping[str, Tensor], steps: int) -> None:
        """Go on with an average that was saved."""
        self.steps = steps
        for name, value in tensors.items():
            self._tensors[name].copy_(value)


def _state(model: nn.Module) -> Mapping[str, Tensor]:
    state: Mapping[str, Tensor] = model.state_dict()
    return state
