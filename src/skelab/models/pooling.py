"""Pooling: from the tokens of a clip to one feature vector."""

from jaxtyping import Float
from torch import Tensor, nn

from skelab.models.tokens import Tokens


class MeanPooling(nn.Module):
    """Mean over frames and joints, then over the bodies of each clip.

    An absent body counts like any other, as in the published networks.

    Source: the global average pooling of arXiv:1801.07455.
    """

    def forward(self, tokens: Tokens) -> Float[Tensor, "N F"]:
        """One feature vector per clip."""
        return tokens.by_body(lambda maps: maps.mean(dim=(2, 3))).mean(dim=1)
