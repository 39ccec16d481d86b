"""The input of a network: joints of clips, and optional further data."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from jaxtyping import Bool, Float, Shaped
from torch import Tensor

from skelab.errors import ModelError

_AXES = "N x C x T x V x M (clips, channels, frames, joints, bodies)"


@dataclass(frozen=True, eq=False)
class ModelInput:
    """A batch of clips. Models also accept a plain tensor of joints.

    Attributes:
        joints: The joints N C T V M, in the units of the pipeline; zeros where a body is absent.
        times: Time of each frame, N T, seconds.
        present: Whether a body was seen in a frame, N T M.
        views: Further views of the same clips by name, N C T V M; channels and frames may differ.
        sidecars: Further data of each clip by name; the first axis is N.
        labels: Class indices N; provided in training only, for families whose losses need them.

    Raises:
        ModelError: A shape or dtype does not fit the joints.
    """

    # shapes are checked below, with messages
    joints: Float[Tensor, "..."]
    times: Float[Tensor, "..."] | None = None
    present: Shaped[Tensor, "..."] | None = None
    views: Mapping[str, Shaped[Tensor, "..."]] = field(default_factory=dict)
    sidecars: Mapping[str, Shaped[Tensor, "..."]] = field(default_factory=dict)
    labels: Shaped[Tensor, "..."] | None = None

    def __post_init__(self) -> None:
        if self.joints.ndim != 5:
            raise ModelError(
                f"model input, joints: expected {_AXES}, found {_shape(self.joints.shape)}"
            )
        n, _, t, v, m = self.joints.shape
        if self.times is not None:
            _check_shape("times", self.times, "N x T", (n, t))
        if self.present is not None:
            _check_shape("present", self.present, "N x T x M", (n, t, m))
            _check_kind("present", self.present, self.present.dtype == torch.bool, "true or false")
        if self.labels is not None:
            _check_shape("labels", self.labels, "N", (n,))
            whole = not (self.labels.is_floating_point() or self.labels.dtype == torch.bool)
            _check_kind("labels", self.labels, whole, "whole numbers")
        for name, view in self.views.items():
            if view.ndim != 5 or (view.shape[0], *view.shape[3:]) != (n, v, m):
                raise ModelError(
                    f"model input, view {name!r}: expected {n} x C x T x {v} x {m}, as many clips,"
                    f" joints and bodies as the joints have, found {_shape(view.shape)}"
                )
        for name, sidecar in self.sidecars.items():
            if sidecar.ndim < 1 or len(sidecar) != n:
                raise ModelError(
                    f"model input, sidecar {name!r}: expected one entry for each of {n} clips,"
                    f" found {_shape(sidecar.shape)}"
                )

    def presence(self) -> Bool[Tensor, "N T M"]:
        """Which bodies are seen in which frames: ``present``, or else those that are not zero."""
        return self.joints.any(dim=3).any(dim=1) if self.present is None else self.present


def as_input(x: ModelInput | Float[Tensor, "N C T V M"]) -> ModelInput:
    """Wrap plain joints in a ``ModelInput``; an input is returned unchanged."""
    return x if isinstance(x, ModelInput) else ModelInput(x)


def _check_shape(name: str, found: Tensor, axes: str, expected: tuple[int, ...]) -> None:
    if tuple(found.shape) != expected:
        raise ModelError(
            f"model input, {name}: expected {axes}, here {_shape(expected)}, found"
            f" {_shape(found.shape)}"
        )


def _check_kind(name: str, found: Tensor, fits: bool, expected: str) -> None:
    if not fits:
        raise ModelError(
            f"model input, {name}: expected {expected}, found {str(found.dtype)[len('torch.') :]}"
        )


def _shape(sizes: tuple[int, ...]) -> str:
    return " x ".join(map(str, sizes)) or "a single number"
