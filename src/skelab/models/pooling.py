"""From the tokens of a clip to one vector."""

from jaxtyping import Float
from torch import Tensor, nn

from skelab.models.tokens import Tokens


class MeanPooling(nn.Module):
    """Mean over frames and joints, then over the bodies of each clip.

    An absent body counts like any other, as in the published networks.
    """

    def forward(self, tokens: Tokens) -> Float[Tensor, "N F"]:
        """One vector a clip."""
        return tokens.by_body(lambda maps: maps.mean(dim=(2, 3))).mean(dim=1)
