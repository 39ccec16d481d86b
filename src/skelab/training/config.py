"""What a recipe says about training."""

from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator


class Precision(StrEnum):
    """Number format of the forward and backward pass; weights stay in float32."""

    FP32 = "fp32"
    BF16 = "bf16"
    FP16 = "fp16"


class Schedule(StrEnum):
    """How the learning rate falls after the warm-up."""

    STEP = "step"
    COSINE = "cosine"


class TrainingConfig(BaseModel):
    """Optimiser, schedule and length of a training run.

    The optimiser is SGD with momentum; weight decay acts on every parameter, as both groups of
    authors have it.

    Attributes:
        epochs: Passes over the training part.
        batch_size: Clips per optimiser step.
        learning_rate: Highest learning rate.
        momentum: Momentum of SGD.
        nesterov: Whether the momentum looks ahead.
        weight_decay: Decay of every parameter.
        warmup_epochs: Epochs in which the rate rises linearly to its highest.
        schedule: ``step`` multiplies by ``decay`` at each of ``steps``; ``cosine`` falls to zero.
        steps: Epochs, counted from 0, from which on the rate is lower.
        decay: Factor of each step.
        label_smoothing: Share of the target spread over all classes.
        drop_last: Leave out the last clips of an epoch if they do not fill a batch.
        seed: Seed of initial weights, data order and augmentation.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    epochs: int = Field(default=65, ge=1, strict=True)
    batch_size: int = Field(default=64, ge=1, strict=True)
    learning_rate: float = Field(default=0.1, gt=0)
    momentum: float = Field(default=0.9, ge=0, lt=1)
    nesterov: bool = True
    weight_decay: float = Field(default=0.0004, ge=0)
    warmup_epochs: int = Field(default=5, ge=0, strict=True)
    schedule: Schedule = Schedule.STEP
    steps: tuple[Annotated[int, Field(ge=0, strict=True)], ...] = (35, 55)
    decay: float = Field(default=0.1, gt=0, le=1)
    label_smoothing: float = Field(default=0.0, ge=0, lt=1)
    drop_last: bool = True
    seed: int = Field(default=1, ge=0, lt=2**63, strict=True)

    @model_validator(mode="after")
    def _nesterov_needs_momentum(self) -> Self:
        if self.nesterov and not self.momentum:
            raise ValueError("nesterov needs a momentum above 0")
        return self


class MemoryConfig(BaseModel):
    """What is traded for memory.

    Attributes:
        activations: ``keep`` them for the backward pass, or ``recompute`` them block by block.
        micro_batch: Clips per forward pass; gradients are accumulated to the batch size, while
            batch-norm statistics are those of each micro-batch. None takes whole batches.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    activations: Literal["keep", "recompute"] = "keep"
    micro_batch: int | None = Field(default=None, ge=1, strict=True)
