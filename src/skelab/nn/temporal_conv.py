"""Temporal convolutions, which mix the frames of a joint."""

from collections import OrderedDict
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn


class MultiBranchTemporalConv(nn.Module):
    """Parallel temporal convolutions, each with its share of the D output channels.

    One branch per dilation (1x1, norm, ReLU, dilated convolution, norm), a max pooling over three
    frames (1x1, norm, ReLU, pool, norm), and a pointwise branch (1x1, norm). Their outputs are
    concatenated in this order, without residual or activation.

    Args:
        in_channels: C.
        out_channels: D, a multiple of the number of branches, ``len(dilations) + 2``.
        kernel_size: Kernel of the dilated convolutions in frames; odd, so that frames stay centred.
        dilations: Dilation of each branch, frames.
        stride: Temporal stride: L = ceil(T / stride).
        repeats_ends: Pad the dilated convolutions with the first and last frame, not with zeros.

    Source: arXiv:2003.14111, figure 3 (dilations 1 to 4, kernel 3), and arXiv:2107.12213, figure 4
    (dilations 1 and 2, kernel 5).
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        kernel_size: int,
        dilations: Sequence[int],
        stride: int = 1,
        repeats_ends: bool = False,
    ) -> None:
        super().__init__()
        share = out_channels // (len(dilations) + 2)
        dilated = [
            dilated_branch(
                in_channels,
                share,
                kernel_size=kernel_size,
                dilation=dilation,
                stride=stride,
                repeats_ends=repeats_ends,
            )
            for dilation in dilations
        ]
        pointwise = nn.Conv2d(in_channels, share, kernel_size=1, stride=(stride, 1))
        self.branches = nn.ModuleList(
            [
                *dilated,
                pooled_branch(in_channels, share, stride=stride),
                nn.Sequential(OrderedDict(reduce=pointwise, reduce_norm=nn.BatchNorm2d(share))),
            ]
        )

    def forward(self, x: Float[Tensor, "N C T V"]) -> Float[Tensor, "N D L V"]:
        """Concatenate the branches' outputs along the channels."""
        return torch.cat([branch(x) for branch in self.branches], dim=1)


class PlainTemporalConv(nn.Sequential):
    """One temporal convolution with batch norm and dropout.

    Args:
        in_channels: C.
        out_channels: D.
        kernel_size: Kernel in frames; odd, so that frames stay centred.
        stride: Temporal stride: L = ceil(T / stride).
        dropout: Dropout probability.

    Source: arXiv:1801.07455.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        kernel_size: int = 9,
        stride: int = 1,
        dropout: float = 0.0,
    ) -> None:
        conv = nn.Conv2d(
            in_channels,
            out_channels,
            kernel_size=(kernel_size, 1),
            stride=(stride, 1),
            padding=(kernel_size // 2, 0),
        )
        norm = nn.BatchNorm2d(out_channels)
        super().__init__(OrderedDict(conv=conv, norm=norm, dropout=nn.Dropout(dropout)))


class MergingTemporalConv(nn.Module):
    """Parallel temporal convolutions, normalised together and merged by a 1x1 convolution.

    One branch per dilation (1x1, norm, ReLU, dilated convolution), a max pooling over three frames
    (1x1, norm, ReLU, pool), and a pointwise branch. Each has D // branches channels, and the first
    also the remainder. Their outputs are concatenated in this order; then follow norm, ReLU, the
    merging 1x1, and a norm.

    Args:
        in_channels: C.
        out_channels: D, at least the number of branches, ``len(dilations) + 2``.
        kernel_size: Kernel of the dilated convolutions in frames; odd, so that frames stay centred.
        dilations: Dilation of each branch, frames.
        stride: Temporal stride: L = ceil(T / stride).

    Source: arXiv:2205.09443 (dilations 1 to 4, kernel 3).
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        kernel_size: int,
        dilations: Sequence[int],
        stride: int = 1,
    ) -> None:
        super().__init__()
        others = len(dilations) + 1
        share = out_channels // (others + 1)
        shares = [out_channels - others * share, *[share] * others]
        dilated = [
            _branch(
                in_channels,
                channels,
                normed=False,
                dilated=_dilated(channels, kernel_size, dilation, stride),
            )
            for channels, dilation in zip(shares, dilations, strict=False)
        ]
        pool = nn.MaxPool2d(kernel_size=(3, 1), stride=(stride, 1), padding=(1, 0))
        self.branches = nn.ModuleList(
            [
                *dilated,
                _branch(in_channels, share, normed=False, pool=pool),
                nn.Conv2d(in_channels, share, kernel_size=1, stride=(stride, 1)),
            ]
        )
        self.branch_norm = nn.BatchNorm2d(out_channels)
        self.merge = nn.Conv2d(out_channels, out_channels, kernel_size=1)
        self.norm = nn.BatchNorm2d(out_channels)

    def forward(self, x: Float[Tensor, "N C T V"]) -> Float[Tensor, "N D L V"]:
        """Merge the outputs of all branches."""
        return self._merge(self._over_time(x))

    def _over_time(self, x: Float[Tensor, "N C T V"]) -> Float[Tensor, "N D L V"]:
        return torch.cat([branch(x) for branch in self.branches], dim=1)

    def _merge(self, branches: Float[Tensor, "N D L V"]) -> Float[Tensor, "N D L V"]:
        merged: Tensor = self.norm(self.merge(torch.relu(self.branch_norm(branches))))
        return merged


class BodyAwareTemporalConv(MergingTemporalConv):
    """A ``MergingTemporalConv`` that gives each joint a share of the mean of all joints.

    The shares are learned, one a joint, and start at 0.

    Args:
        in_channels: C.
        out_channels: D, at least the number of branches.
        num_joints: V.
        kernel_size: Frames under the dilated convolutions; odd.
        dilations: Distance in frames between two taps, one a branch.
        stride: Every ``stride``-th frame is kept.

    Source: arXiv:2210.05895.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        num_joints: int,
        kernel_size: int = 3,
        dilations: Sequence[int] = (1, 2, 3, 4),
        stride: int = 1,
    ) -> None:
        super().__init__(
            in_channels,
            out_channels,
            kernel_size=kernel_size,
            dilations=dilations,
            stride=stride,
        )
        self.shares = nn.Parameter(torch.zeros(num_joints))

    def forward(self, x: Float[Tensor, "N C T V"]) -> Float[Tensor, "N D L V"]:
        """Every channel from all branches, of the joint and of the whole body."""
        branches = self._over_time(torch.cat([x, x.mean(dim=3, keepdim=True)], dim=3))
        joints, body = branches[..., :-1], branches[..., -1:]
        return self._merge(joints + body * self.shares)


def dilated_branch(
    in_channels: int,
    out_channels: int,
    *,
    kernel_size: int,
    dilation: int,
    stride: int = 1,
    repeats_ends: bool = False,
) -> nn.Sequential:
    """A branch of ``MultiBranchTemporalConv``: 1x1, norm, ReLU, dilated convolution, norm."""
    conv = _dilated(out_channels, kernel_size, dilation, stride, repeats_ends=repeats_ends)
    return _branch(in_channels, out_channels, dilated=conv)


def pooled_branch(in_channels: int, out_channels: int, *, stride: int = 1) -> nn.Sequential:
    """A branch of ``MultiBranchTemporalConv``: 1x1, norm, ReLU, maximum of three frames, norm."""
    pool = nn.MaxPool2d(kernel_size=(3, 1), stride=(stride, 1), padding=(1, 0))
    return _branch(in_channels, out_channels, pool=pool)


def _dilated(
    channels: int, kernel_size: int, dilation: int, stride: int, *, repeats_ends: bool = False
) -> nn.Conv2d:
    return nn.Conv2d(
        channels,
        channels,
        kernel_size=(kernel_size, 1),
        stride=(stride, 1),
        dilation=(dilation, 1),
        padding=((kernel_size - 1) * dilation // 2, 0),
        padding_mode="replicate" if repeats_ends else "zeros",
    )


def _branch(
    in_channels: int, share: int, *, normed: bool = True, **over_time: nn.Module
) -> nn.Sequential:
    """A 1x1 to the branch's share of the channels, then a temporal layer, each with batch norm.

    Without ``normed`` the last layer has none.
    """
    ((role, layer),) = over_time.items()
    layers: list[tuple[str, nn.Module]] = [
        ("reduce", nn.Conv2d(in_channels, share, kernel_size=1)),
        ("reduce_norm", nn.BatchNorm2d(share)),
        ("activation", nn.ReLU()),
        (role, layer),
    ]
    if normed:
        layers.append((f"{role}_norm", nn.BatchNorm2d(share)))
    return nn.Sequential(OrderedDict(layers))
