"""Pooling: from the tokens of a clip to one feature vector."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from skelab.errors import ModelError
from skelab.models.tokens import Tokens
from skelab.nn import running_mean


class MeanPooling(nn.Module):
    """Mean over frames and joints, then over the bodies of each clip.

    An absent body counts like any other, as in the published networks.

    Source: the global average pooling of arXiv:1801.07455.
    """

    def forward(self, tokens: Tokens) -> Float[Tensor, "N F"]:
        """One feature vector per clip."""
        return tokens.by_body(lambda maps: maps.mean(dim=(2, 3))).mean(dim=1)


class RecentPooling(nn.Module):
    """Mean over the latest tokens and over joints, then over the bodies of each clip.

    For causal networks, whose streams have no end. A clip of at most ``length`` tokens is pooled
    as in :class:`MeanPooling`.

    Args:
        length: Number of tokens averaged, from 1.

    Raises:
        ModelError: ``length`` is below 1.
    """

    def __init__(self, length: int) -> None:
        super().__init__()
        if length < 1:
            raise ModelError(f"pooling: expected at least one token, found {length!r}")
        self.length = length

    def forward(self, tokens: Tokens) -> Float[Tensor, "N F"]:
        """One feature vector per clip."""

        def recent(maps: Float[Tensor, "R F L W"]) -> Float[Tensor, "R F"]:
            return maps[:, :, -self.length :].mean(dim=(2, 3))

        return tokens.by_body(recent).mean(dim=1)

    def at_every_token(self, tokens: Tokens) -> Float[Tensor, "N L F"]:
        """For each token, the feature vector of the clip that ends with it."""

        def recent(maps: Float[Tensor, "R F L W"]) -> Float[Tensor, "R F L"]:
            return running_mean(maps.mean(dim=3, keepdim=True), self.length).squeeze(3)

        return tokens.by_body(recent).mean(dim=1).transpose(1, 2)

    def of_vectors(self, vectors: Float[Tensor, "N L F"]) -> Float[Tensor, "N F"]:
        """Pool vectors that are already averaged over joints and bodies."""
        return torch.mean(vectors[:, -self.length :], dim=1)
