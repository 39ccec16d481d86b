"""What a clip looks like as a whole: the lengths of a spanning tree, encoded."""

import torch
from jaxtyping import Float
from torch import Tensor, nn


def spanning_tree_lengths(distance: Float[Tensor, "N V V"]) -> Float[Tensor, "N E"]:
    """The lengths of the E = V - 1 edges of a minimum spanning tree, in the order they are found.

    They are the ages at which the connected parts of V points merge (persistent homology of
    dimension 0). No gradient reaches the distances.

    Source: R. C. Prim, Shortest connection networks, Bell System Technical Journal 36, 1957.
    """
    distance = distance.detach()
    nearest = distance[:, 0].clone()  # of each point to the tree
    outside = torch.ones_like(nearest)
    outside[:, 0] = 0
    lengths = []
    for _ in range(distance.shape[1] - 1):
        far = torch.where(outside > 0, nearest, torch.full_like(nearest, torch.inf))
        length, point = far.min(dim=1, keepdim=True)  # N 1
        lengths.append(length)
        outside = outside.scatter(1, point, 0.0)
        row = point.unsqueeze(2).expand(-1, -1, distance.shape[2])
        nearest = torch.minimum(nearest, distance.gather(1, row).squeeze(1))
    return torch.cat(lengths, dim=1) if lengths else distance[:, 0, :0]


class BarcodeEncoding(nn.Module):
    """D numbers of a set of lengths: how near they lie to each of D learned places, summed up.

    A length e is the point (0, e), birth and death of a connected part; a place has one
    coordinate for each, and a sharpness for each.

    Source: arXiv:1707.04041; Zhou et al., BlockGCN, CVPR 2024 uses it.
    """

    def __init__(self, num_places: int) -> None:
        super().__init__()
        self.places = nn.Parameter(torch.rand(num_places, 2))
        self.sharpness = nn.Parameter(torch.full((num_places, 2), 3.0))

    def forward(self, lengths: Float[Tensor, "N E"]) -> Float[Tensor, "N D"]:
        """What each place sees."""
        birth = (self.sharpness[:, 0] * self.places[:, 0]).square()  # D
        away = self.places[:, 1:] - lengths.unsqueeze(1)  # N D E
        death = (self.sharpness[:, 1:] * away).square()
        seen: Tensor = (-birth.unsqueeze(1) - death).exp().sum(dim=2)
        return seen
