"""Traces of one training step or inference on fake tensors, valid for any number of clips.

Nothing is computed and no memory is used. A trace has a prime number of clips: storages and FLOPs
that are a multiple of it belong to the clips, and scale with them.
"""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final

import numpy as np
import torch
from jaxtyping import Shaped
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode

from skelab.fit.allocator import GRANULE, TOLERANCE, fits_into, needed_bytes
from skelab.fit.fakes import HALF
from skelab.fit.figures import Configuration, MemoryParts, NotTriedError
from skelab.fit.operators import OperatorLog, Operators, moved_bytes
from skelab.fit.step import InferenceStep, TrainingStep
from skelab.fit.storage import Category, Lives, StorageWatch
from skelab.training.config import Precision

_PRIMES: Final = (101, 103, 107, 109, 113, 127, 131, 137)


@dataclass(frozen=True)
class Trace:
    """The memory and operators of a step with a prime number of clips.

    Attributes:
        lives: Lifetimes of its storages.
        operators: Its operators.
        clips: Number of clips.
    """

    lives: Lives
    operators: Operators
    clips: int

    def lives_of(self, clips: int, *, accumulates: bool = False) -> Lives:
        """The lifetimes of storages in a step of a number of clips.

        Args:
            clips: The micro-batch.
            accumulates: Gradients of earlier micro-batches exist from the start.
        """
        lives = self.lives.scaled(clips, self.clips)
        return _with_earlier_gradients(lives) if accumulates else lives

    def operators_of(self, clips: int) -> Operators:
        """The operators of a step of a number of clips."""
        return self.operators.scaled(clips, self.clips)

    def counted_memory(self, clips: int, *, accumulates: bool = False) -> MemoryParts:
        """Peak memory of tensors, without allocator and workspace, bytes."""
        return self.lives_of(clips, accumulates=accumulates).at_peak()

    def cpu_memory(self, clips: int, *, accumulates: bool = False) -> MemoryParts:
        """Peak memory on a CPU, with a convolution's copies in the memory format of oneDNN.

        Inputs and results are copied one after the other, so that the largest copy counts.
        """
        lives = self.lives_of(clips, accumulates=accumulates)
        parts = lives.at_peak()
        return replace(parts, workspace=lives.peak_with_loads(max) - parts.total)

    def gpu_memory(self, clips: int, *, accumulates: bool = False) -> MemoryParts:
        """Peak memory on a GPU in the caching allocator, whose overhead is workspace.

        That is the smallest memory in which the allocator can serve all requests, including the
        copies into another memory format that a convolution may make.
        """
        lives = self.lives_of(clips, accumulates=accumulates)
        parts = lives.rounded(GRANULE).at_peak()
        needed = needed_bytes(list(lives.changes()), at_least=lives.peak_with_loads())
        return replace(parts, workspace=max(0, needed - parts.total))

    def fits_gpu(self, clips: int, limit: int, *, accumulates: bool = False) -> bool:
        """Whether :meth:`gpu_memory` is within a limit, bytes; cheaper than computing it."""
        lives = self.lives_of(clips, accumulates=accumulates)
        room = limit - TOLERANCE
        return lives.peak_with_loads() <= room and fits_into(lives.changes(), room)


def _with_earlier_gradients(lives: Lives) -> Lives:
    """The lifetimes if gradients exist from the start and new ones are accumulated."""
    are_gradients = np.array([part is Category.GRADIENTS for part in lives.parts])
    new_ones = lives.born[are_gradients]
    return replace(
        lives,
        sizes=np.concatenate([lives.sizes, lives.sizes[are_gradients]]),
        born=np.concatenate([np.where(are_gradients, 0, lives.born), new_ones]),
        died=np.concatenate([lives.died, new_ones + 1]),
        parts=(*lives.parts, *[Category.ACTIVATIONS] * len(new_ones)),
    )


def trace_training(configuration: Configuration, *, for_gpu: bool) -> Trace:
    """Trace a training step; its micro-batch is ignored.

    Args:
        configuration: The configuration to trace; traces are cached.
        for_gpu: Take the code paths that PyTorch takes on a GPU.

    Raises:
        NotTriedError: The network cannot be built or traced.
    """
    return _training(_key(configuration, training=True), for_gpu)


def trace_inference(configuration: Configuration, *, for_gpu: bool) -> Trace:
    """Trace a forward pass without gradients; otherwise as :func:`trace_training`."""
    return _inference(_key(configuration, training=False), for_gpu)


@dataclass(frozen=True)
class _Key:
    """A hashable configuration; equal keys have equal traces."""

    essence: str
    configuration: Configuration

    def __hash__(self) -> int:
        return hash(self.essence)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Key) and self.essence == other.essence


def _key(configuration: Configuration, *, training: bool) -> _Key:
    """The cache key, with the micro-batch to trace; 16-bit types share one."""
    recipe = configuration.recipe
    precision = Precision.BF16 if recipe.precision in HALF else Precision.FP32
    traced = replace(configuration, recipe=recipe.model_copy(update={"precision": precision}))
    essence = what_is_traced(configuration, training=training)
    return _Key(essence, traced.with_micro_batch(_prime(configuration)))


def what_is_traced(configuration: Configuration, *, training: bool) -> str:
    """The properties that a trace depends on, as text; names are ignored."""
    recipe = configuration.recipe
    what: list[object] = [recipe.model.model_dump(), recipe.task.model_dump()]
    what += [recipe.data.window, recipe.precision in HALF]
    what += [configuration.layout, configuration.num_classes, configuration.bodies]
    if training:
        optimiser = recipe.training
        what += [recipe.memory.activations, optimiser.nesterov, optimiser.label_smoothing > 0]
        what += [value > 0 for value in (optimiser.momentum, optimiser.weight_decay, optimiser.ema)]
        what += [optimiser.optimizer, optimiser.clip_norm is not None]
        what += [
            (group.pattern, group.rate, group.decay, group.frozen) for group in optimiser.groups
        ]
    return repr(what)


def _prime(configuration: Configuration) -> int:
    """A prime number of clips that divides none of the other sizes."""
    recipe = configuration.recipe
    others = [
        recipe.data.window,
        configuration.num_classes,
        configuration.bodies,
        configuration.skeleton.num_joints,
        *(value for value in recipe.model.options.values() if type(value) is int),
    ]
    for prime in _PRIMES:
        if not any(size % prime == 0 for size in others if size):
            return prime
    raise NotTriedError(f"the sizes {others} leave no number of clips to trace with")


@lru_cache(maxsize=256)
def _training(key: _Key, for_gpu: bool) -> Trace:
    with _tracing(key.configuration) as (fake, clips):
        step = TrainingStep(key.configuration, fake=fake)
        _check(step.weights(), clips)
        if for_gpu:
            _fuse_dropout(step.model)
            for group in step.optimizer.param_groups:
                group["foreach"] = True  # the default for parameters on a GPU
        watch, log = StorageWatch(convolution_copies), OperatorLog(clips)
        with fake, watch:
            step.begin()
            watch.hold(step.weights(), Category.WEIGHTS)
            watch.hold(step.optimiser_state(), Category.OPTIMISER)
            watch.hold(step.inputs(), Category.ACTIVATIONS)
            watch.start()
            watch.listener = log.note
            step.forward_backward()
            watch.hold(step.gradients(), Category.GRADIENTS)
            step.update()
        return Trace(watch.lives(), log.operators(), clips)


@lru_cache(maxsize=256)
def _inference(key: _Key, for_gpu: bool) -> Trace:
    with _tracing(key.configuration) as (fake, clips):
        step = InferenceStep(key.configuration, fake=fake)
        _check(step.weights(), clips)
        watch, log = StorageWatch(convolution_copies), OperatorLog(clips)
        with fake, watch:
            watch.hold(step.weights(), Category.WEIGHTS)
            watch.hold(step.inputs(), Category.ACTIVATIONS)
            watch.start()
            watch.listener = log.note
            step.run()
        return Trace(watch.lives(), log.operators(), clips)


@contextmanager
def _tracing(configuration: Configuration) -> Iterator[tuple[FakeTensorMode, int]]:
    """Name a network that cannot be traced; suspend garbage collection meanwhile."""
    collects = gc.isenabled()
    gc.disable()
    try:
        yield FakeTensorMode(allow_non_fake_inputs=True), configuration.micro_batch
    except NotTriedError:
        raise
    except Exception as error:
        # A user's network may do what fake tensors cannot: its row says so.
        said = " ".join(str(error).split())
        raise NotTriedError(
            f"{configuration.recipe.model.name} cannot be traced:"
            f" {type(error).__name__}: {said[:160]}"
        ) from error
    finally:
        if collects:
            gc.enable()


class _FusedDropout(nn.Dropout):
    """Dropout as on a GPU, which keeps a mask of bytes instead of floats."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - the name in PyTorch
        """Apply dropout, in training."""
        if not self.training or not 0 < self.p < 1:
            return super().forward(input)
        return torch.native_dropout(input, self.p, self.training)[0]


def _fuse_dropout(model: nn.Module) -> None:
    """Make the dropout layers of a model behave as on a GPU."""
    for layer in list(model.modules()):
        for name, child in layer.named_children():
            if type(child) is nn.Dropout:
                setattr(layer, name, _FusedDropout(child.p))


def _check(weights: Iterator[Tensor], clips: int) -> None:
    """Check that no weight has a size that would be mistaken for that of clips."""
    for weight in weights:
        if weight.untyped_storage().nbytes() % clips == 0 and weight.numel():
            raise NotTriedError(
                f"a weight of the shape {tuple(weight.shape)} has a multiple of {clips} numbers,"
                " as many as the clips that would be traced"
            )


def convolution_copies(
    name: str, taken: list[Shaped[Tensor, " ..."]], given: list[Shaped[Tensor, " ..."]]
) -> tuple[int, ...]:
    """Upper bound of the copies that a convolution makes: each input and result once, bytes."""
    if "convolution" not in name:
        return ()
    return tuple(moved_bytes(tensor) for tensor in (*taken, *given))
