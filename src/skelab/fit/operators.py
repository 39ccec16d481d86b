"""The operators of a computation: FLOPs, memory traffic and kernel launches."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import torch
from jaxtyping import Bool, Float64, Int64, Shaped
from numpy import ndarray
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry

_CONVOLUTION_GRADIENT: Final = "aten::convolution_backward"

_PASSES: Final[Mapping[str, int]] = {
    "aten::native_batch_norm": 2,  # once for the statistics, once to normalise
    "aten::native_batch_norm_backward": 2,
    _CONVOLUTION_GRADIENT: 2,  # once for the input's gradient, once for the weight's
}
"""Passes of an operator over its inputs, if not one."""

_KERNELS: Final[Mapping[str, int]] = {
    _CONVOLUTION_GRADIENT: 3,  # input, weight and bias
    "aten::native_batch_norm": 2,
    "aten::native_batch_norm_backward": 2,
    "aten::index_add": 2,
    "aten::cat": 1,
}
"""Kernels per operator, if not one."""

_FREE: Final = ("aten::detach", "aten::empty", "aten::new_empty", "aten::empty_like")
"""Operators without computation."""


@dataclass(frozen=True)
class Operators:
    """Costs of operators in the order of execution, without views.

    Attributes:
        names: Names of the operators in PyTorch's schemas.
        flops: Floating-point operations of matrix products and convolutions; 0 for others.
        fixed_bytes: Bytes read and written that do not depend on the number of clips.
        clip_bytes: Bytes read and written that scale with the clips.
        kernels: Kernels launched.
        is_half: Whether the operator computes in 16 bits.
    """

    names: tuple[str, ...]
    flops: Float64[ndarray, " P"]
    fixed_bytes: Float64[ndarray, " P"]
    clip_bytes: Float64[ndarray, " P"]
    kernels: Int64[ndarray, " P"]
    is_half: Bool[ndarray, " P"]

    @property
    def bytes(self) -> Float64[ndarray, " P"]:
        """Bytes read and written."""
        moved: Float64[ndarray, " P"] = self.fixed_bytes + self.clip_bytes
        return moved

    @property
    def is_convolution(self) -> Bool[ndarray, " P"]:
        """Whether it is a convolution, or the gradient of one."""
        return np.array(["convolution" in name for name in self.names], dtype=np.bool_)

    @property
    def is_convolution_gradient(self) -> Bool[ndarray, " P"]:
        """Whether it is the gradient of a convolution."""
        return np.array([name == _CONVOLUTION_GRADIENT for name in self.names], dtype=np.bool_)

    def scaled(self, clips: int, traced: int) -> "Operators":
        """The same operators for another number of clips, if traced with a prime number.

        FLOPs that are a multiple of that prime belong to the clips, and scale.
        """
        of_clips = self.flops % traced == 0
        return replace(
            self,
            flops=np.where(of_clips, self.flops / traced * clips, self.flops),
            clip_bytes=self.clip_bytes / traced * clips,
        )


class OperatorLog(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Records every operator that runs within the context.

    Args:
        traced: Number of clips, a prime; a tensor whose size is a multiple of it belongs to the
            clips.
    """

    def __init__(self, traced: int = 1) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._traced = traced
        self._names: list[str] = []
        self._rows: list[tuple[float, float, float, int, bool]] = []

    def operators(self) -> Operators:
        """The operators recorded so far."""
        columns = zip(*self._rows, strict=True) if self._rows else ((),) * 5
        flops, fixed, of_clips, kernels, is_half = columns
        return Operators(
            names=tuple(self._names),
            flops=np.array(flops, dtype=np.float64),
            fixed_bytes=np.array(fixed, dtype=np.float64),
            clip_bytes=np.array(of_clips, dtype=np.float64),
            kernels=np.array(kernels, dtype=np.int64),
            is_half=np.array(is_half, dtype=np.bool_),
        )

    def __torch_dispatch__(
        self,
        func: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Run an operator and record it."""
        results = func(*args, **(kwargs or {}))
        self.note(func, args, kwargs or {}, results)
        return results

    def note(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], results: Any) -> None:
        """Record an operator that has run."""
        name = func._schema.name
        if func.namespace == "prim" or name in _FREE or _is_view(func):
            return
        taken = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        given = [leaf for leaf in tree_leaves(results) if isinstance(leaf, Tensor)]
        fixed = of_clips = 0
        for tensors, passes in ((taken, _PASSES.get(name, 1)), (given, 1)):
            for tensor in tensors:
                size = passes * moved_bytes(tensor)
                if size % self._traced == 0:
                    of_clips += size
                else:
                    fixed += size
        half = any(tensor.dtype in (torch.float16, torch.bfloat16) for tensor in taken)
        flops = _flops(func, args, kwargs, results)
        self._names.append(name)
        self._rows.append((flops, fixed, of_clips, _KERNELS.get(name, 1), half))


def moved_bytes(tensor: Shaped[Tensor, " ..."]) -> int:
    """Bytes of a tensor in memory: an expanded tensor has no more than its storage."""
    return min(tensor.numel() * tensor.element_size(), tensor.untyped_storage().nbytes())


def _is_view(func: Any) -> bool:
    return any(
        given.alias_info is not None and not given.alias_info.is_write
        for given in func._schema.returns
    )


def _flops(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], results: Any) -> float:
    formula = flop_registry.get(func._overloadpacket)
    if formula is None:
        return 0.0
    try:
        return float(formula(*args, **kwargs, out_val=results))
    except TypeError:  # its name up to PyTorch 2.3
        return float(formula(*args, **kwargs, out=results))
