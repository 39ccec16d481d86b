"""From the tokens of a clip to one vector."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from skelab.errors import ModelError
from skelab.models.tokens import Tokens
from skelab.nn import running_mean


class MeanPooling(nn.Module):
    """Mean over frames and joints, then over the bodies of each clip.

    An absent body counts like any other, as in the published networks.
    """

    def forward(self, tokens: Tokens) -> Float[Tensor, "N F"]:
        """One vector a clip."""
        return tokens.by_body(lambda maps: maps.mean(dim=(2, 3))).mean(dim=1)


class RecentPooling(nn.Module):
    """Mean over the latest tokens and over joints, then over the bodies of each clip.

    For causal networks, whose clips may go on for ever. A clip of no more tokens than ``length``
    is pooled as by :class:`MeanPooling`.

    Args:
        length: Tokens that count, from 1.

    Raises:
        ModelError: ``length`` is below 1.
    """

    def __init__(self, length: int) -> None:
        super().__init__()
        if length < 1:
            raise ModelError(f"pooling: expected at least one token, found {length!r}")
        self.length = length

    def forward(self, tokens: Tokens) -> Float[Tensor, "N F"]:
        """One vector a clip."""

        def recent(maps: Float[Tensor, "R F L W"]) -> Float[Tensor, "R F"]:
            return maps[:, :, -self.length :].mean(dim=(2, 3))

        return tokens.by_body(recent).mean(dim=1)

    def at_every_token(self, tokens: Tokens) -> Float[Tensor, "N L F"]:
        """What the vector of the clip would be if it ended with this token, for each."""

        def recent(maps: Float[Tensor, "R F L W"]) -> Float[Tensor, "R F L"]:
            return running_mean(maps.mean(dim=3, keepdim=True), self.length).squeeze(3)

        return tokens.by_body(recent).mean(dim=1).transpose(1, 2)

    def of_vectors(self, vectors: Float[Tensor, "N L F"]) -> Float[Tensor, "N F"]:
        """The same of vectors that were averaged over joints and bodies already."""
        return torch.mean(vectors[:, -self.length :], dim=1)
