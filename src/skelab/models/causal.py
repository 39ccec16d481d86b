"""Causal networks: the same families, looking back only, and frame by frame."""

from dataclasses import replace
from typing import Annotated

import torch
from jaxtyping import Float
from torch import Tensor, nn

from skelab.errors import ModelError
from skelab.models.base import SkeletonModel
from skelab.models.options import Option
from skelab.models.pooling import RecentPooling
from skelab.nn import FrameMemory, make_causal, step

Causal = Annotated[
    bool,
    Option(
        "look back only, so that it can answer at every frame of a stream; the weights have the"
        " same names and shapes"
    ),
]
"""The type of the option of families that can be made causal."""

Horizon = Annotated[
    int, Option("frames that a causal network averages over, as a plain one does over the clip")
]
"""The type of the option that says how far averages look back."""


def as_causal(model: SkeletonModel, horizon: int) -> SkeletonModel:
    """The model itself, made causal: no token depends on later frames.

    Windows over time end with their frame, and averages over the clip, the pooling among them,
    become those over the latest ``horizon`` frames. Weights keep their names and shapes.

    Raises:
        ModelError: The horizon is below 1.
    """
    if horizon < 1:
        raise ModelError(f"horizon: expected a number of frames from 1, found {horizon!r}")
    make_causal(model.backbone, horizon)
    model.pooling = RecentPooling(-(-horizon // model.stride))
    model.traits = replace(model.traits, causal=True)
    return model


class ModelStream:
    """Streams of frames through a causal network: logits after each, and no frame computed twice.

    After frame t the logits are those of the clip of the frames 0 to t, within rounding. Ring
    buffers hold what the layers need of earlier frames, so that memory and work for a frame stay
    the same however long the stream is. A body that is absent is zeros.

    Args:
        model: Causal, with its weights; it is set to eval mode.

    Raises:
        ModelError: The network looks ahead.
    """

    def __init__(self, model: nn.Module) -> None:
        if not isinstance(model, SkeletonModel) or not isinstance(model.pooling, RecentPooling):
            name = getattr(getattr(model, "skelab_spec", None), "name", type(model).__name__)
            raise ModelError(
                f"{name}: expected a causal network, found one that looks ahead; train one with"
                " --set model.causal=true (stgcn, stgcn_official, ctrgcn, msg3d), or give it"
                " sliding windows of a stream as clips"
            )
        self.model = model.eval()
        self._pooling = model.pooling
        self.restart()

    def restart(self) -> None:
        """Forget all frames."""
        self._memory = FrameMemory()
        self._recent: list[Tensor] = []

    @property
    def num_bytes(self) -> int:
        """Memory of the frames that are remembered."""
        return self._memory.num_bytes + sum(
            each.numel() * each.element_size() for each in self._recent
        )

    def step(self, frames: Float[Tensor, "N C V M"]) -> Float[Tensor, "N K"]:
        """Logits of N streams after one frame more of each.

        Raises:
            ModelError: Channels, joints or bodies are not those of the network.
        """
        model = self.model
        with torch.inference_mode():
            bodies = model.input_norm(frames.unsqueeze(2))  # N*M C 1 V
            token = step(model.backbone, bodies, self._memory)
            if token is not None:
                by_body = token.mean(dim=(2, 3)).view(len(frames), model.max_bodies, -1)
                self._recent.append(by_body.mean(dim=1))  # N F
                del self._recent[: -self._pooling.length]
            features = self._pooling.of_vectors(torch.stack(self._recent, dim=1))
            logits: Tensor = model.forward_head(features)
        return logits
