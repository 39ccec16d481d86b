"""Which bodies of a batch are absent, and what stands in for them."""

from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from skelab.nn.norm import RowCounts


@dataclass(frozen=True)
class AbsentBodies:
    """Where the bodies of N clips are all zeros.

    An absent body's row is the same in every clip, so that one row for each slot stands for all.

    Attributes:
        mask: True where a body is absent.
        present: Rows of the bodies that are there; body m of clip n is row n * M + m.
        slots: Slots m in which some body is absent; the first such slot alone where all slots
            are alike.
        first: The first absent row of each of these slots.
        counts: How many bodies are absent in each.
        alike: An absent body is the same in every slot.
    """

    mask: Bool[Tensor, "N M"]
    present: Int64[Tensor, " P"]
    slots: tuple[int, ...]
    first: Int64[Tensor, " S"]
    counts: tuple[int, ...]
    alike: bool

    @property
    def num_spared(self) -> int:
        """How many rows less there are if one row for each slot stands for all."""
        return sum(self.counts) - len(self.slots)

    def row_counts(self) -> RowCounts:
        """How often each row of ``present`` followed by ``first`` stands in the whole batch."""
        counts = torch.tensor([1.0] * len(self.present) + [float(count) for count in self.counts])
        return RowCounts(counts.to(self.mask.device), self.mask.numel())

    def spread(
        self, present: Float[Tensor, "P ..."], absent: Float[Tensor, "S ..."]
    ) -> Float[Tensor, "N M ..."]:
        """What was computed of both kinds of rows, by clip and body."""
        axes = absent.shape[1:]
        table = absent  # 1 *F, of any slot
        if not self.alike:
            slots = torch.tensor(self.slots, device=absent.device)
            table = absent.new_zeros(self.mask.shape[1], *axes).index_copy(0, slots, absent)  # M *F
        rows = absent.new_zeros(self.mask.numel(), *axes).index_copy(0, self.present, present)
        bodies = rows.view(*self.mask.shape, *axes)
        return torch.where(self.mask.view(*self.mask.shape, *[1] * len(axes)), table, bodies)


def find_absent(x: Float[Tensor, "N C T V M"], *, alike: bool) -> AbsentBodies | None:
    """The bodies that are all zeros, None if there are none; on a GPU, this waits for ``x``.

    Args:
        x: Clips, not normalised.
        alike: The slots share one normalisation, so that an absent body is the same in all.
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
    """Feature maps of absent bodies, kept until a weight changes.

    Copies and pickles of it are empty.
    """

    def __init__(self) -> None:
        self._version: Hashable = None
        self._kept: dict[Hashable, Tensor] = {}

    def get(
        self, version: Hashable, key: Hashable, compute: Callable[[], Float[Tensor, "..."]]
    ) -> Float[Tensor, "..."]:
        """What is kept under ``key``, computed first if it is new or of another version."""
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
        """Forget everything."""
        self._version, self._kept = None, {}

    def __reduce__(self) -> tuple[type["ConstantFeatures"], tuple[()]]:
        return ConstantFeatures, ()


_MOST_KEPT = 256  # as many lengths of clips, if one slot is empty
_MOST_BYTES = 64 << 20  # CTR-GCN takes 400 kB for NTU's joints and 64 frames


def _num_bytes(tensor: Tensor) -> int:
    return tensor.numel() * tensor.element_size()


def version_of(tensors: Iterable[Tensor]) -> Hashable:
    """Something that changes when a tensor is replaced or changed in place.

    None if that cannot be told, for tensors made in inference mode. What is written through
    ``.data`` goes unseen.
    """
    versions = []
    for tensor in tensors:
        if tensor.is_inference():
            return None
        versions.append((tensor.data_ptr(), tensor._version))
    return tuple(versions)
