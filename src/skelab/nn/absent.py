"""Absent bodies of a batch: finding them, and computing one row in place of all of them."""

from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int64, Shaped
from torch import Tensor

from skelab.nn.norm import Multiplicities


@dataclass(frozen=True)
class AbsentBodies:
    """The bodies of N clips that are all zeros.

    Absent bodies of one slot give identical rows, so that one row per slot represents all.

    Attributes:
        mask: True where a body is absent.
        present: Rows of the present bodies; body m of clip n is row n * M + m.
        slots: Slots m with an absent body; only the first of them where all slots are alike.
        first: The first absent row of each of these slots.
        counts: Number of absent bodies in each of these slots.
        alike: Whether absent bodies are identical across slots.
    """

    mask: Bool[Tensor, "N M"]
    present: Int64[Tensor, " P"]
    slots: tuple[int, ...]
    first: Int64[Tensor, " S"]
    counts: tuple[int, ...]
    alike: bool

    @property
    def num_saved(self) -> int:
        """Rows that are saved by computing one row per slot."""
        return sum(self.counts) - len(self.slots)

    def multiplicities(self) -> Multiplicities:
        """The multiplicity of each row of ``present`` followed by ``first``."""
        counts = torch.tensor([1.0] * len(self.present) + [float(count) for count in self.counts])
        return Multiplicities(counts.to(self.mask.device), self.mask.numel())

    def spread(
        self, present: Float[Tensor, "P ..."], absent: Float[Tensor, "S ..."]
    ) -> Float[Tensor, "N M ..."]:
        """Distribute what was computed for present and absent rows to clips and bodies."""
        axes = absent.shape[1:]
        table = absent  # 1 *F, of any slot
        if not self.alike:
            slots = torch.tensor(self.slots, device=absent.device)
            table = absent.new_zeros(self.mask.shape[1], *axes).index_copy(0, slots, absent)  # M *F
        rows = absent.new_zeros(self.mask.numel(), *axes).index_copy(0, self.present, present)
        bodies = rows.view(*self.mask.shape, *axes)
        return torch.where(self.mask.view(*self.mask.shape, *[1] * len(axes)), table, bodies)


def find_absent(x: Float[Tensor, "N C T V M"], *, alike: bool) -> AbsentBodies | None:
    """Find the bodies that are all zeros; None if there are none. Synchronises with a GPU.

    Args:
        x: Clips, not normalised.
        alike: All slots share one normalisation, so that absent bodies are identical across them.
    """
    mask = ~x.any(dim=3).any(dim=2).any(dim=1)
    seen = mask.cpu()
    if not seen.any():
        return None
    columns = seen.view(-1, 1) if alike else seen
    slots = columns.any(dim=0).nonzero().flatten()
    first = columns.int().argmax(dim=0)[slots] * columns.shape[1] + slots
    return AbsentBodies(
        mask=mask,
        present=(~seen).flatten().nonzero().flatten().to(x.device),
        slots=tuple(slots.tolist()),
        first=first.to(x.device),
        counts=tuple(columns.sum(dim=0)[slots].tolist()),
        alike=alike,
    )


class ConstantFeatures:
    """Cached feature maps of absent bodies, valid until a weight changes.

    Copies and pickles are empty.
    """

    def __init__(self) -> None:
        self._version: Hashable = None
        self._kept: dict[Hashable, Tensor] = {}

    def get(
        self, version: Hashable, key: Hashable, compute: Callable[[], Float[Tensor, "..."]]
    ) -> Float[Tensor, "..."]:
        """The features under ``key``, computed unless they are cached for this version."""
        if version != self._version:
            self._version, self._kept = version, {}
        if key not in self._kept:
            computed = compute()
            kept = [*self._kept.values(), computed]
            if len(kept) > _MOST_KEPT or sum(map(_num_bytes, kept)) > _MOST_BYTES:
                self._kept.clear()
            self._kept[key] = computed
        return self._kept[key]

    def clear(self) -> None:
        """Empty the cache."""
        self._version, self._kept = None, {}

    def __reduce__(self) -> tuple[type["ConstantFeatures"], tuple[()]]:
        return ConstantFeatures, ()


_MOST_KEPT = 256  # clip lengths, with one empty slot
_MOST_BYTES = 64 << 20  # CTR-GCN takes 400 kB for NTU's joints and 64 frames


def _num_bytes(tensor: Tensor) -> int:
    return tensor.numel() * tensor.element_size()


def version_of(tensors: Iterable[Shaped[Tensor, " ..."]]) -> Hashable:
    """A value that changes when a tensor is replaced or modified in place.

    None for tensors created in inference mode, whose changes are not tracked. Writing through
    ``.data`` goes unnoticed.
    """
    versions = []
    for tensor in tensors:
        if tensor.is_inference():
            return None
        versions.append((tensor.data_ptr(), tensor._version))
    return tuple(versions)
