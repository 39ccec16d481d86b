"""Causal versions of the families, and their frame-by-frame inference on streams."""

from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor, nn

from skelab.errors import ModelError
from skelab.models.base import SkeletonModel
from skelab.models.pooling import RecentPooling
from skelab.nn import FrameMemory, make_causal, step


def as_causal(model: SkeletonModel, horizon: int) -> SkeletonModel:
    """Make a model causal in place, so that no token depends on later frames.

    Temporal windows end with their frame, and averages over the clip, including the pooling, become
    averages over the latest ``horizon`` frames. Weights keep their names and shapes.

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
    """Runs a causal network on streams: logits after each frame, each frame computed once.

    After frame t the logits equal those of the clip of frames 0 to t, within rounding. Ring buffers
    hold the earlier frames that the layers need, so that memory and time per frame are constant.
    An absent body is zeros.

    Args:
        model: A causal network with its weights; it is set to eval mode.

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
        """Memory of the buffered frames."""
        return self._memory.num_bytes + sum(
            each.numel() * each.element_size() for each in self._recent
        )

    def step(self, frames: Float[Tensor, "N C V M"]) -> Float[Tensor, "N K"]:
        """Logits of N streams after the next frame of each.

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
