"""Live bytes by storage: what a computation holds at each moment, and what of it is what.

A tensor may share its storage with others; memory is freed when the last of them is gone. So it is
storages that are followed, from birth to death, and not tensors. Real and fake ones are alike.
"""

import weakref
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import partial
from typing import Any

import numpy as np
import torch
from jaxtyping import Int64, Shaped
from numpy import ndarray
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from skelab.fit.figures import MemoryParts


class Part(StrEnum):
    """What a storage holds; the names are those of :class:`MemoryParts`."""

    WEIGHTS = "weights"
    GRADIENTS = "gradients"
    OPTIMISER = "optimiser"
    ACTIVATIONS = "activations"


@dataclass(frozen=True)
class Lives:
    """Storages, each from birth to death, in a computation of E events.

    An event is a birth or a death; they count from 1. What was there before is born at 0, what is
    left dies at E + 1.

    Attributes:
        sizes: Bytes of each of S storages.
        born: Event at which each came to be.
        died: Event at which each was freed.
        parts: What each holds.
        events: E.
        loads: Of operators that need memory beside their results: the event of the last result,
            and the bytes of each tensor that is worked on.
    """

    sizes: Int64[ndarray, " S"]
    born: Int64[ndarray, " S"]
    died: Int64[ndarray, " S"]
    parts: tuple[Part, ...]
    events: int
    loads: tuple[tuple[int, tuple[int, ...]], ...] = ()

    def live(self) -> Int64[ndarray, " moments"]:
        """Bytes that are held after each of 0 to E events."""
        changes = np.zeros(self.events + 2, dtype=np.int64)
        np.add.at(changes, self.born, self.sizes)
        np.add.at(changes, self.died, -self.sizes)
        return np.cumsum(changes)[:-1]

    def at_peak(self) -> MemoryParts:
        """What is held when most is held, without what operators need beside their results."""
        moment = int(self.live().argmax())
        held = (self.born <= moment) & (moment < self.died)
        bytes_of = dict.fromkeys(Part, 0)
        for number in held.nonzero()[0]:
            bytes_of[self.parts[number]] += int(self.sizes[number])
        return MemoryParts(**{part.value: size for part, size in bytes_of.items()})

    def peak_with_loads(self, at_once: Callable[[Iterable[int]], int] = sum) -> int:
        """Bytes at the highest moment, with what operators need beside their results.

        Args:
            at_once: How much of an operator's loads is there at the same time: ``sum`` for all of
                them, ``max`` for one after the other.
        """
        live = self.live()
        return max(
            [int(live.max()), *(int(live[event]) + at_once(sizes) for event, sizes in self.loads)]
        )

    def rounded(self, granule: int) -> "Lives":
        """The same in an allocator that hands out whole granules."""
        return replace(self, sizes=-(-self.sizes // granule) * granule)

    def scaled(self, clips: int, traced: int) -> "Lives":
        """The same computation on other clips, if it was traced with a prime number of them.

        Storages of every clip are told by their size, a multiple of that number; the rest, such
        as weights, stays as it is.
        """

        def size_of(size: int) -> int:
            return size // traced * clips if size % traced == 0 else size

        of_clips = self.sizes % traced == 0
        sizes = np.where(of_clips, self.sizes // traced * clips, self.sizes)
        loads = tuple((event, tuple(map(size_of, sizes))) for event, sizes in self.loads)
        return replace(self, sizes=sizes, loads=loads)

    def changes(self) -> Iterator[tuple[int, int]]:
        """Each birth (a number, bytes) and death (the number, 0) in order, loads among them."""
        order = [
            (int(event), number, int(self.sizes[number])) for number, event in enumerate(self.born)
        ]
        order += [(int(event), number, 0) for number, event in enumerate(self.died)]
        for number, (event, sizes) in enumerate(self.loads, len(self.sizes)):
            order += [(event, number, sum(sizes)), (event, number, -1)]
        for _, number, size in sorted(order, key=lambda change: (change[0], change[1])):
            yield number, max(size, 0)


@dataclass
class _Life:
    size: int
    born: int
    part: Part
    died: int | None = None


class StorageWatch(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Follows the storages of every tensor that an operator gives, while it is on.

    Args:
        load: Of an operator, from its name, its tensors and its results: the bytes of each tensor
            of which it may need a copy; none if None.

    Attributes:
        listener: Is told of every operator: itself, its arguments and its results.
    """

    def __init__(
        self, load: Callable[[str, list[Tensor], list[Tensor]], tuple[int, ...]] | None = None
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._load = load
        self.listener: Callable[[Any, tuple[Any, ...], dict[str, Any], Any], None] | None = None
        self._lives: list[_Life] = []
        self._loads: list[tuple[int, tuple[int, ...]]] = []
        self._known: dict[int, tuple[int, weakref.ref[Any]]] = {}  # by address, while it lives
        self._events = 0
        self._start = 0

    def hold(self, tensors: Iterable[Shaped[Tensor, " ..."]], part: Part) -> None:
        """Say what some tensors are; those that were made before are followed from now on."""
        for tensor in tensors:
            number = self._follow(tensor)
            if number is not None:
                self._lives[number].part = part

    def start(self) -> None:
        """Forget all that was before, but not what is still held."""
        self._start = self._events
        self._loads.clear()

    def lives(self) -> Lives:
        """The storages from :meth:`start` to now."""
        start, end = self._start, self._events
        kept = [life for life in self._lives if life.died is None or life.died > start]
        return Lives(
            sizes=np.array([life.size for life in kept], dtype=np.int64),
            born=np.array([max(life.born - start, 0) for life in kept], dtype=np.int64),
            died=np.array(
                [end - start + 1 if life.died is None else life.died - start for life in kept],
                dtype=np.int64,
            ),
            parts=tuple(life.part for life in kept),
            events=end - start,
            loads=tuple((event - start, sizes) for event, sizes in self._loads),
        )

    def __torch_dispatch__(
        self,
        func: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Run an operator, and follow what it gives."""
        kwargs = kwargs or {}
        if func.namespace == "prim":  # questions about a tensor
            return func(*args, **kwargs)
        if torch.is_inference_mode_enabled():
            # Operators made of others come here whole then; what they hold on the way counts too.
            with self:
                results = func.decompose(*args, **kwargs)
            if results is not NotImplemented:
                return results
        results = func(*args, **kwargs)
        given = [leaf for leaf in tree_leaves(results) if isinstance(leaf, Tensor)]
        for tensor in given:
            self._follow(tensor)
        if self._load is not None:
            taken = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
            sizes = self._load(func._schema.name, taken, given)
            if sizes:
                self._loads.append((self._events, sizes))
        if self.listener is not None:
            self.listener(func, args, kwargs, results)
        return results

    def _follow(self, tensor: Tensor) -> int | None:
        """The number of a tensor's storage; None for one that takes no memory."""
        if tensor.layout is not torch.strided:
            return None
        storage = tensor.untyped_storage()
        address, size = storage._cdata, storage.nbytes()
        if address in self._known:
            return self._known[address][0]
        if not size:
            return None
        number = len(self._lives)
        self._events += 1
        self._lives.append(_Life(size, self._events, Part.ACTIVATIONS))

        bury = partial(self._bury, address, number)
        self._known[address] = (number, weakref.ref(storage, bury))
        return number

    def _bury(self, address: int, number: int, _: object) -> None:
        """Write down that a storage was freed."""
        self._events += 1
        self._lives[number].died = self._events
        del self._known[address]
