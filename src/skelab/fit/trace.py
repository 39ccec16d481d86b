"""Traces: one training step or inference on fake tensors, which answers for any number of clips.

Nothing is computed and no memory is taken. The clips of a trace are a prime number: what is of the
clips, a storage or an operator's arithmetic, is known by being a multiple of it, and scales.
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
from skelab.fit.storage import Lives, Part, StorageWatch
from skelab.skeleton import get_layout
from skelab.training.config import Precision

_PRIMES: Final = (101, 103, 107, 109, 113, 127, 131, 137)


@dataclass(frozen=True)
class Trace:
    """What a step of a prime number of clips holds and does.

    Attributes:
        lives: Its storages.
        operators: Its operators.
        clips: How many clips were traced.
    """

    lives: Lives
    operators: Operators
    clips: int

    def lives_of(self, clips: int, *, accumulates: bool = False) -> Lives:
        """The storages of a step of so many clips.

        Args:
            clips: Clips that pass the network at once.
            accumulates: Gradients of earlier clips of the batch are there from the beginning.
        """
        lives = self.lives.scaled(clips, self.clips)
        return _with_earlier_gradients(lives) if accumulates else lives

    def operators_of(self, clips: int) -> Operators:
        """The operators of a step of so many clips."""
        return self.operators.scaled(clips, self.clips)

    def counted_memory(self, clips: int, *, accumulates: bool = False) -> MemoryParts:
        """Bytes of tensors at the moment when most is held; no allocator, no workspace."""
        return self.lives_of(clips, accumulates=accumulates).at_peak()

    def cpu_memory(self, clips: int, *, accumulates: bool = False) -> MemoryParts:
        """The same with a copy of what a convolution works on, in the order of oneDNN's kernels.

        It copies what it takes and what it gives one after the other, so the largest counts.
        """
        lives = self.lives_of(clips, accumulates=accumulates)
        parts = lives.at_peak()
        return replace(parts, workspace=lives.peak_with_loads(max) - parts.total)

    def gpu_memory(self, clips: int, *, accumulates: bool = False) -> MemoryParts:
        """The same in blocks of the caching allocator; the workspace is what it needs beside.

        That is the least memory in which the allocator can serve all requests, those among them
        that a convolution may make to copy what it works on into another order.
        """
        lives = self.lives_of(clips, accumulates=accumulates)
        parts = lives.rounded(GRANULE).at_peak()
        needed = needed_bytes(list(lives.changes()), at_least=lives.peak_with_loads())
        return replace(parts, workspace=max(0, needed - parts.total))

    def fits_gpu(self, clips: int, limit: int, *, accumulates: bool = False) -> bool:
        """Whether :meth:`gpu_memory` is at most so many bytes, found out at less cost."""
        lives = self.lives_of(clips, accumulates=accumulates)
        room = limit - TOLERANCE
        return lives.peak_with_loads() <= room and fits_into(lives.changes(), room)


def _with_earlier_gradients(lives: Lives) -> Lives:
    """The same where gradients are there from the beginning, and new ones are added to them."""
    are_gradients = np.array([part is Part.GRADIENTS for part in lives.parts])
    new_ones = lives.born[are_gradients]
    return replace(
        lives,
        sizes=np.concatenate([lives.sizes, lives.sizes[are_gradients]]),
        born=np.concatenate([np.where(are_gradients, 0, lives.born), new_ones]),
        died=np.concatenate([lives.died, new_ones + 1]),
        parts=(*lives.parts, *[Part.ACTIVATIONS] * len(new_ones)),
    )


def trace_training(configuration: Configuration, *, for_gpu: bool) -> Trace:
    """Trace a training step; its micro-batch is of no account.

    Args:
        configuration: What is traced; asked again, the answer is kept.
        for_gpu: Take the paths that PyTorch takes on a GPU, where they differ.

    Raises:
        NotTriedError: The network cannot be made or traced.
    """
    return _training(_key(configuration, training=True), for_gpu)


def trace_inference(configuration: Configuration, *, for_gpu: bool) -> Trace:
    """Trace a forward pass without gradients; otherwise as :func:`trace_training`."""
    return _inference(_key(configuration, training=False), for_gpu)


@dataclass(frozen=True)
class _Key:
    """A configuration that can be looked up; equal ones have equal traces."""

    essence: str
    configuration: Configuration

    def __hash__(self) -> int:
        return hash(self.essence)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Key) and self.essence == other.essence


def _key(configuration: Configuration, *, training: bool) -> _Key:
    """What is looked up, the micro-batch that is traced in it; 16-bit types are alike."""
    recipe = configuration.recipe
    precision = Precision.BF16 if recipe.precision in HALF else Precision.FP32
    traced = replace(configuration, recipe=recipe.model_copy(update={"precision": precision}))
    essence = what_is_traced(configuration, training=training)
    return _Key(essence, traced.with_micro_batch(_prime(configuration)))


def what_is_traced(configuration: Configuration, *, training: bool) -> str:
    """What a trace depends on, equal for equal traces; names do not matter."""
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
    """A number of clips that divides none of the other sizes."""
    recipe = configuration.recipe
    others = [
        recipe.data.window,
        configuration.num_classes,
        configuration.bodies,
        get_layout(configuration.layout).num_joints,
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
                group["foreach"] = True  # as it chooses by itself for parameters on a GPU
        watch, log = StorageWatch(convolution_copies), OperatorLog(clips)
        with fake, watch:
            step.begin()
            watch.hold(step.weights(), Part.WEIGHTS)
            watch.hold(step.optimiser_state(), Part.OPTIMISER)
            watch.hold(step.inputs(), Part.ACTIVATIONS)
            watch.start()
            watch.listener = log.note
            step.forward_backward()
            watch.hold(step.gradients(), Part.GRADIENTS)
            step.update()
        return Trace(watch.lives(), log.operators(), clips)


@lru_cache(maxsize=256)
def _inference(key: _Key, for_gpu: bool) -> Trace:
    with _tracing(key.configuration) as (fake, clips):
        step = InferenceStep(key.configuration, fake=fake)
        _check(step.weights(), clips)
        watch, log = StorageWatch(convolution_copies), OperatorLog(clips)
        with fake, watch:
            watch.hold(step.weights(), Part.WEIGHTS)
            watch.hold(step.inputs(), Part.ACTIVATIONS)
            watch.start()
            watch.listener = log.note
            step.run()
        return Trace(watch.lives(), log.operators(), clips)


@contextmanager
def _tracing(configuration: Configuration) -> Iterator[tuple[FakeTensorMode, int]]:
    """Name the network that cannot be traced, and let no collection disturb the count."""
    collects = gc.isenabled()
    gc.disable()
    try:
        yield FakeTensorMode(allow_non_fake_inputs=True), configuration.micro_batch
    except NotTriedError:
        raise
    except Exception as error:
        # Whatever a network of one's own does that fake tensors cannot: its row says so.
        said = " ".join(str(error).split())
        raise NotTriedError(
            f"{configuration.recipe.model.name} cannot be traced:"
            f" {type(error).__name__}: {said[:160]}"
        ) from error
    finally:
        if collects:
            gc.enable()


class _FusedDropout(nn.Dropout):
    """Dropout as on a GPU, which keeps a mask of bytes and not of numbers."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - the name in PyTorch
        """Drop some numbers, in training."""
        if not self.training or not 0 < self.p < 1:
            return super().forward(input)
        return torch.native_dropout(input, self.p, self.training)[0]


def _fuse_dropout(model: nn.Module) -> None:
    """Let the layers of a model that drop numbers do it as on a GPU."""
    for layer in list(model.modules()):
        for name, child in layer.named_children():
            if type(child) is nn.Dropout:
                setattr(layer, name, _FusedDropout(child.p))


def _check(weights: Iterator[Tensor], clips: int) -> None:
    """Make sure that no weight looks as if it were of the clips."""
    for weight in weights:
        if weight.untyped_storage().nbytes() % clips == 0 and weight.numel():
            raise NotTriedError(
                f"a weight of the shape {tuple(weight.shape)} has a multiple of {clips} numbers,"
                " as many as the clips that would be traced"
            )


def convolution_copies(
    name: str, taken: list[Shaped[Tensor, " ..."]], given: list[Shaped[Tensor, " ..."]]
) -> tuple[int, ...]:
    """Bytes of the copies that a convolution makes at most: all that it takes and gives, once."""
    if "convolution" not in name:
        return ()
    return tuple(moved_bytes(tensor) for tensor in (*taken, *given))
