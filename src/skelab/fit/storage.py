"""Live memory over time, by category.

Tensors may share a storage, whose memory is freed with the last of them. Storages are therefore
tracked from allocation to release, not tensors; real and fake ones alike.
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


class Category(StrEnum):
    """Category of a storage; the names are those of :class:`MemoryParts`."""

    WEIGHTS = "weights"
    GRADIENTS = "gradients"
    OPTIMISER = "optimiser"
    ACTIVATIONS = "activations"


@dataclass(frozen=True)
class Lives:
    """The lifetimes of storages in a computation of E events.

    An event is an allocation or a release, counted from 1. Storages from before are born at 0, and
    those that remain die at E + 1.

    Attributes:
        sizes: Size of each of S storages, bytes.
        born: Event of each allocation.
        died: Event of each release.
        parts: Category of each.
        events: Number of events, E.
        loads: Operators that need scratch memory: the event of the last result, and the bytes of
            each tensor that is processed.
    """

    sizes: Int64[ndarray, " S"]
    born: Int64[ndarray, " S"]
    died: Int64[ndarray, " S"]
    parts: tuple[Category, ...]
    events: int
    loads: tuple[tuple[int, tuple[int, ...]], ...] = ()

    def live(self) -> Int64[ndarray, " moments"]:
        """Live bytes after each of 0 to E events."""
        changes = np.zeros(self.events + 2, dtype=np.int64)
        np.add.at(changes, self.born, self.sizes)
        np.add.at(changes, self.died, -self.sizes)
        return np.cumsum(changes)[:-1]

    def at_peak(self) -> MemoryParts:
        """Live memory at the peak by category, without scratch memory of operators."""
        moment = int(self.live().argmax())
        held = (self.born <= moment) & (moment < self.died)
        bytes_of = dict.fromkeys(Category, 0)
        for number in held.nonzero()[0]:
            bytes_of[self.parts[number]] += int(self.sizes[number])
        return MemoryParts(**{part.value: size for part, size in bytes_of.items()})

    def peak_with_loads(self, at_once: Callable[[Iterable[int]], int] = sum) -> int:
        """Peak of live bytes, with scratch memory of operators.

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
        """The same computation for another number of clips, if traced with a prime number.

        Storages whose size is a multiple of that prime belong to the clips and scale; others, such
        as weights, do not.
        """

        def size_of(size: int) -> int:
            return size // traced * clips if size % traced == 0 else size

        of_clips = self.sizes % traced == 0
        sizes = np.where(of_clips, self.sizes // traced * clips, self.sizes)
        loads = tuple((event, tuple(map(size_of, sizes))) for event, sizes in self.loads)
        return replace(self, sizes=sizes, loads=loads)

    def changes(self) -> Iterator[tuple[int, int]]:
        """Allocations (id, bytes) and releases (id, 0) in order, with scratch memory."""
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
    part: Category
    died: int | None = None


class StorageWatch(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Tracks the storages of all tensors that operators return within the context.

    Args:
        load: Maps an operator's name, inputs and results to the bytes of each tensor that it may
            copy; None for no copies.

    Attributes:
        listener: Called with every operator, its arguments and its results.
    """

    def __init__(
        self, load: Callable[[str, list[Tensor], list[Tensor]], tuple[int, ...]] | None = None
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._load = load
        self.listener: Callable[[Any, tuple[Any, ...], dict[str, Any], Any], None] | None = None
        self._lives: list[_Life] = []
        self._loads: list[tuple[int, tuple[int, ...]]] = []
        self._known: dict[int, tuple[int, weakref.ref[Any]]] = {}  # by address of live storages
        self._events = 0
        self._start = 0

    def hold(self, tensors: Iterable[Shaped[Tensor, " ..."]], part: Category) -> None:
        """Set the category of some tensors, and track those that existed before."""
        for tensor in tensors:
            number = self._follow(tensor)
            if number is not None:
                self._lives[number].part = part

    def start(self) -> None:
        """Start recording: forget earlier events, but not live storages."""
        self._start = self._events
        self._loads.clear()

    def lives(self) -> Lives:
        """The lifetimes recorded since :meth:`start`."""
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
        """Run an operator, and track its results."""
        kwargs = kwargs or {}
        if func.namespace == "prim":  # queries of tensor attributes
            return func(*args, **kwargs)
        if torch.is_inference_mode_enabled():
            # Composite operators arrive undivided here; their intermediate results count as well.
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
        """The id of a tensor's storage; None if it has no memory."""
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
        self._lives.append(_Life(size, self._events, Category.ACTIVATIONS))

        bury = partial(self._bury, address, number)
        self._known[address] = (number, weakref.ref(storage, bury))
        return number

    def _bury(self, address: int, number: int, _: object) -> None:
        """Record the release of a storage."""
        self._events += 1
        self._lives[number].died = self._events
        del self._known[address]
