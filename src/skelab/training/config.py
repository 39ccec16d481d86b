"""The training section of a recipe."""

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

_MANY: Final = 1_000_000
"""Bound of counts, far beyond any use."""

_LARGE: Final = 1e30
"""Bound of factors: no use is near it, and a float32 holds it."""


class Precision(StrEnum):
    """Number format of the forward and backward pass; weights stay in float32.

    The last two are levels O1 and O2 of NVIDIA Apex, which the papers used.
    """

    FP32 = "fp32"
    BF16 = "bf16"
    FP16 = "fp16"
    APEX_O1 = "apex-o1"
    APEX_O2 = "apex-o2"


class OptimizerName(StrEnum):
    """Optimiser."""

    SGD = "sgd"
    ADAMW = "adamw"


USUAL_RATES: Final[Mapping[OptimizerName, float]] = {
    OptimizerName.SGD: 0.1,
    OptimizerName.ADAMW: 0.001,
}
"""A learning rate at which most networks train, by optimiser."""


class Schedule(StrEnum):
    """How the learning rate decreases after the warm-up."""

    CONSTANT = "constant"
    STEP = "step"
    COSINE = "cosine"


class ScheduleUnit(StrEnum):
    """How often the learning rate changes."""

    EPOCH = "epoch"
    STEP = "step"


class GroupConfig(BaseModel):
    """A group of parameters with its own learning rate and weight decay.

    Attributes:
        pattern: A regular expression, searched for in parameter names.
        rate: Factor of the learning rate.
        decay: Factor of the weight decay, on top of that of the family.
        frozen: Whether the parameters are frozen. A batch norm whose parameters are all frozen
            keeps its running statistics, too.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    pattern: str = Field(min_length=1)
    rate: float = Field(default=1.0, gt=0, le=_LARGE)
    decay: float = Field(default=1.0, ge=0, le=_LARGE)
    frozen: bool = False

    @field_validator("pattern")
    @classmethod
    def _pattern_is_an_expression(cls, pattern: str) -> str:
        try:
            re.compile(pattern)
        except re.error as error:
            raise ValueError(
                f"expected a regular expression, found {pattern!r:.60}: {error}"
            ) from None
        return pattern


class TrainingConfig(BaseModel):
    """Optimiser, schedule and length of a training run.

    The defaults are those of CTR-GCN: SGD with momentum, and weight decay on every parameter, as
    in the code of CTR-GCN and MS-G3D, unless the family of the network differs (Shift-GCN does).

    Attributes:
        epochs: Passes over the training part.
        batch_size: Clips per optimiser step.
        optimizer: ``sgd`` with momentum, or ``adamw`` (decoupled weight decay).
        learning_rate: Highest learning rate.
        momentum: Momentum of SGD; AdamW ignores it.
        nesterov: Nesterov momentum of SGD; must be false for AdamW, which is its default there.
        betas: Decay rates of AdamW's first and second moments.
        eps: Added to the denominator of AdamW.
        weight_decay: Weight decay, unless the family or ``groups`` set another.
        clip_norm: Maximum global norm of the gradients; None for no clipping.
        groups: Parameter groups; the first pattern that matches applies.
        warmup_epochs: Epochs of linear warm-up.
        schedule: ``constant``; ``step`` multiplies by ``decay`` at each of ``steps``; ``cosine``
            falls to ``min_rate``.
        schedule_unit: Whether the rate changes per ``epoch`` or per optimiser ``step``.
        steps: Epochs, counted from 0, at which the rate decreases.
        decay: Factor of each step.
        min_rate: Final rate of ``cosine``.
        label_smoothing: Share of the target that is spread over all classes.
        auxiliary: Weight of each auxiliary loss of the network by name; 1 for those not named.
        ema: Decay per step of the moving average of the weights, which is then validated and
            kept; 0 for none.
        drop_last: Drop the last batch of an epoch if it is incomplete.
        checkpoint_minutes: Minutes between checkpoints within an epoch; each epoch ends with one
            as well.
        seed: Seed of initial weights, data order and augmentation.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    epochs: int = Field(default=65, ge=1, le=_MANY, strict=True)
    batch_size: int = Field(default=64, ge=1, le=_MANY, strict=True)
    optimizer: OptimizerName = OptimizerName.SGD
    learning_rate: float = Field(default=0.1, gt=0, le=_LARGE)
    momentum: float = Field(default=0.9, ge=0, lt=1)
    nesterov: bool = True
    betas: tuple[Annotated[float, Field(ge=0, lt=1)], Annotated[float, Field(ge=0, lt=1)]] = (
        0.9,
        0.999,
    )
    eps: float = Field(default=1e-8, gt=0, le=_LARGE)
    weight_decay: float = Field(default=0.0004, ge=0, le=_LARGE)
    clip_norm: float | None = Field(default=None, gt=0, le=_LARGE)
    groups: tuple[GroupConfig, ...] = ()
    warmup_epochs: int = Field(default=5, ge=0, le=_MANY, strict=True)
    schedule: Schedule = Schedule.STEP
    schedule_unit: ScheduleUnit = ScheduleUnit.EPOCH
    steps: tuple[Annotated[int, Field(ge=0, le=_MANY, strict=True)], ...] = (35, 55)
    decay: float = Field(default=0.1, gt=0, le=1)
    min_rate: float = Field(default=0.0, ge=0)
    label_smoothing: float = Field(default=0.0, ge=0, lt=1)
    auxiliary: Mapping[str, Annotated[float, Field(ge=0, le=_LARGE)]] = {}
    ema: float = Field(default=0.0, ge=0, lt=1)
    drop_last: bool = True
    checkpoint_minutes: float = Field(default=10.0, ge=0, le=_LARGE)
    seed: int = Field(default=1, ge=0, lt=2**63, strict=True)

    @model_validator(mode="before")
    @classmethod
    def _nesterov_is_off_for_adamw(cls, given: Any) -> Any:
        """Nesterov is off by default for AdamW, which has no such momentum."""
        if isinstance(given, Mapping) and given.get("optimizer") == OptimizerName.ADAMW:
            return {"nesterov": False, **given}
        return given

    @model_validator(mode="after")
    def _settings_fit_the_optimizer(self) -> Self:
        if self.optimizer is OptimizerName.ADAMW:
            if self.nesterov:
                raise ValueError(
                    "nesterov is a momentum of sgd, adamw has none: --set training.nesterov=false"
                )
            return self
        if self.nesterov and not self.momentum:
            raise ValueError("nesterov needs a momentum above 0")
        for name in ("betas", "eps"):
            if getattr(self, name) != type(self).model_fields[name].default:
                raise ValueError(
                    f"{name} is a setting of adamw, found it with sgd: --set"
                    " training.optimizer=adamw"
                )
        return self

    @model_validator(mode="after")
    def _floor_fits_the_schedule(self) -> Self:
        if self.min_rate and self.schedule is not Schedule.COSINE:
            raise ValueError(
                f"min_rate is where the schedule cosine ends, found it with {self.schedule.value}"
            )
        if self.min_rate > self.learning_rate:
            raise ValueError(
                f"min_rate: expected at most the learning_rate {self.learning_rate:g}, found"
                f" {self.min_rate:g}"
            )
        return self


class BatchNormPolicy(StrEnum):
    """The clips over which batch norms compute their statistics."""

    AUTHORS = "authors"
    EXACT = "exact"


class MemoryConfig(BaseModel):
    """Trade-offs that save memory.

    Attributes:
        activations: ``keep`` them for the backward pass, or ``recompute`` them per block.
        micro_batch: Clips per forward pass of a process; gradients are accumulated to the batch
            size. ``auto`` starts with the whole batch. In either case a step that runs out of
            memory is repeated with half as many.
        batch_norm: ``authors`` computes statistics over the micro-batch, as the authors' code of
            CTR-GCN and MS-G3D does; ``exact`` over all clips that a process has of a batch, which
            is then never divided.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    activations: Literal["keep", "recompute"] = "keep"
    micro_batch: int | Literal["auto"] = "auto"
    batch_norm: BatchNormPolicy = BatchNormPolicy.AUTHORS

    @field_validator("micro_batch", mode="before")
    @classmethod
    def _micro_batch_is_auto_or_counts(cls, given: object) -> object:
        if given is None:  # the default of recipes before "auto"
            return "auto"
        counts = type(given) is int and 1 <= given <= _MANY
        if given != "auto" and not counts:
            raise ValueError(f"expected auto or a whole number from 1, found {ascii(given)[:40]}")
        return given

    @model_validator(mode="after")
    def _exact_takes_whole_batches(self) -> Self:
        if self.batch_norm is BatchNormPolicy.EXACT and self.micro_batch != "auto":
            raise ValueError(
                "batch_norm exact takes statistics over the whole batch and needs micro_batch auto;"
                " activations recompute saves memory without dividing it"
            )
        return self


class TransferConfig(BaseModel):
    """Initial weights of a run, and what of them is trained.

    The first two identify the weights; their location comes from ``--from``, which fills them in.

    Attributes:
        source: Name of the file; empty for random initial weights.
        digest: Its digest.
        statistics: Running statistics of batch norms: ``taken`` from the source, or ``fresh``.
        freeze: Regular expressions for the names of frozen parameters; frozen batch norms keep
            their statistics.
        depth_decay: Ratio of the rates of consecutive blocks (layer-wise decay). The head has the
            full rate, the last block this factor of it, the one before it the square.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    source: str = ""
    digest: str = ""
    statistics: Literal["taken", "fresh"] = "taken"
    freeze: tuple[str, ...] = ()
    depth_decay: float = Field(default=1.0, gt=0, le=1)

    @field_validator("freeze")
    @classmethod
    def _patterns_can_be_read(cls, patterns: tuple[str, ...]) -> tuple[str, ...]:
        for pattern in patterns:
            try:
                re.compile(pattern)
            except re.error as error:
                raise ValueError(f"{pattern!r} is no regular expression: {error}") from None
        return patterns
