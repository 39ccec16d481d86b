"""A running average of the weights, which often is right more often than the last weights."""

from collections.abc import Mapping

from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

_Tensors = tuple[Tensor, ...] | list[Tensor]


class WeightAverage(AveragedModel):
    """Exponential moving average of a model's parameters and buffers.

    In the first steps the decay is lower, (1 + t) / (10 + t) after t steps, so that the average
    soon forgets the weights that a run began with. Integers, such as the batches that a batch norm
    has seen, are copied.

    Args:
        model: What is averaged; the average begins with its weights.
        decay: Share of the average that a step keeps.

    Source: Polyak and Juditsky, 1992; the warm-up is that of TensorFlow's
    ``ExponentialMovingAverage``.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        super().__init__(model, multi_avg_fn=self._average, use_buffers=True)
        self.decay = decay
        self.steps = 0
        self.n_averaged.fill_(1)  # the weights at the beginning count

    def _average(self, own: _Tensors, current: _Tensors, count: Tensor | int) -> None:
        decay = min(self.decay, (1 + self.steps) / (10 + self.steps))
        for average, value in zip(own, current, strict=True):
            if value.is_floating_point():
                average.lerp_(value, 1 - decay)
            else:
                average.copy_(value)

    def update(self, model: nn.Module) -> None:
        """Take in the weights after a step."""
        self.update_parameters(model)
        self.steps += 1

    def tensors(self) -> dict[str, Tensor]:
        """The average, as a state dict."""
        return dict(self.module.state_dict())

    def restore(self, tensors: Mapping[str, Tensor], steps: int) -> None:
        """Go on with an average that was saved."""
        self.steps = steps
        self.module.load_state_dict(dict(tensors))
