"""Poses as pictures: a Gaussian around each joint, or along each limb, in every frame."""

from collections.abc import Iterable, Sequence
from functools import reduce

import torch
from jaxtyping import Bool, Float
from torch import Tensor

_REACH = 3.0  # standard deviations that are drawn
_FAINTEST = 1e-3  # joints that were seen with a lower score are not drawn
_SHORTEST = 1.0  # squared length below which a limb is drawn as its first joint
_MARGIN = 1.25  # of a box around all points, over the smallest one


def joint_maps(
    points: Float[Tensor, "N T V M 2"],
    scores: Float[Tensor, "N T V M"],
    *,
    size: tuple[int, int],
    sigma: float = 0.6,
) -> Float[Tensor, "N V T H W"]:
    """A map of each joint: a Gaussian, times the score, cut off at three standard deviations.

    Bodies share the maps: the larger number counts.

    Args:
        points: x and y in pixels; pixel 0 is at 0.
        scores: How surely each joint was seen; below 0.001 it is not drawn.
        size: H and W.
        sigma: Standard deviation in pixels.

    Source: arXiv:2104.13586; the cut and the threshold of kennymckormick/pyskl@3f6795f.
    """
    by_body = (
        _outer(points[..., body, :], scores[..., body], size=size, sigma=sigma)
        for body in range(points.shape[3])
    )
    return _largest(by_body)


def limb_maps(
    points: Float[Tensor, "N T V M 2"],
    scores: Float[Tensor, "N T V M"],
    *,
    limbs: Sequence[tuple[int, int]],
    size: tuple[int, int],
    sigma: float = 0.6,
) -> Float[Tensor, "N L T H W"]:
    """A map of each limb: a Gaussian of the distance to it, times the lower score of its ends.

    A limb shorter than a pixel is drawn as its first joint.

    Args:
        points: x and y in pixels; pixel 0 is at 0.
        scores: How surely each joint was seen.
        limbs: The two joints of each limb.
        size: H and W.
        sigma: Standard deviation in pixels.

    Source: arXiv:2104.13586; the cut and the threshold of kennymckormick/pyskl@3f6795f.
    """
    first, second = (list(ends) for ends in zip(*limbs, strict=True))
    by_body = (
        _along(
            points[:, :, first, body],
            points[:, :, second, body],
            scores[:, :, first, body],
            scores[:, :, second, body],
            size=size,
            sigma=sigma,
        )
        for body in range(points.shape[3])
    )
    return _largest(by_body)


def fit_to_box(
    points: Float[Tensor, "N T V M 2"], present: Bool[Tensor, "N T V M"], *, size: int
) -> Float[Tensor, "N T V M 2"]:
    """Each clip's points in the pixels of a square picture that shows all of them and a margin.

    Source: arXiv:2104.13586 (subject-centred cropping); the margin of kennymckormick/pyskl@3f6795f,
    without rounding to pixels.
    """
    seen = present.unsqueeze(4)
    axes = (1, 2, 3)
    lowest = points.masked_fill(~seen, torch.inf).amin(dim=axes, keepdim=True)
    highest = points.masked_fill(~seen, -torch.inf).amax(dim=axes, keepdim=True)
    centre = (lowest + highest) / 2
    half = (highest - lowest).amax(dim=4, keepdim=True) / 2 * _MARGIN
    centre = torch.where(centre.isfinite(), centre, torch.zeros_like(centre))
    half = torch.where(half.isfinite() & (half > 0), half, torch.ones_like(half))
    return (points - centre + half) * (size / (2 * half))


def _largest(maps: Iterable[Float[Tensor, "N T V H W"]]) -> Float[Tensor, "N V T H W"]:
    return reduce(torch.maximum, maps).transpose(1, 2)


def _outer(
    points: Float[Tensor, "N T V 2"],
    scores: Float[Tensor, "N T V"],
    *,
    size: tuple[int, int],
    sigma: float,
) -> Float[Tensor, "N T V H W"]:
    """The product of one Gaussian along the rows and one along the columns."""
    across, down = (
        _bump(points[..., axis], points[..., axis], length, sigma)
        for axis, length in ((0, size[1]), (1, size[0]))
    )
    drawn = torch.where(scores < _FAINTEST, torch.zeros_like(scores), scores)
    return down.unsqueeze(4) * (across * drawn.unsqueeze(3)).unsqueeze(3)


def _bump(
    lowest: Float[Tensor, "N T V"], highest: Float[Tensor, "N T V"], length: int, sigma: float
) -> Float[Tensor, "N T V S"]:
    """A Gaussian around a place, zero outside of its window."""
    pixel = torch.arange(length, dtype=lowest.dtype, device=lowest.device)
    away = (pixel - lowest.unsqueeze(3)).square()
    return (-away / (2 * sigma**2)).exp() * _window(lowest, highest, pixel, sigma)


def _window(
    lowest: Float[Tensor, "N T V"],
    highest: Float[Tensor, "N T V"],
    pixel: Float[Tensor, " S"],
    sigma: float,
) -> Bool[Tensor, "N T V S"]:
    """Which pixels are drawn; the limits are rounded towards zero."""
    first = (lowest - _REACH * sigma).trunc().unsqueeze(3)
    last = (highest + _REACH * sigma).trunc().unsqueeze(3)
    return (pixel >= first) & (pixel <= last)


def _along(
    first: Float[Tensor, "N T V 2"],
    second: Float[Tensor, "N T V 2"],
    first_scores: Float[Tensor, "N T V"],
    second_scores: Float[Tensor, "N T V"],
    *,
    size: tuple[int, int],
    sigma: float,
) -> Float[Tensor, "N T V H W"]:
    """Gaussians of the distance to the stretch between two points."""
    rows, columns = (
        torch.arange(length, dtype=first.dtype, device=first.device) for length in size
    )
    along = second - first
    length = along.square().sum(dim=3)  # N T V
    lowest, highest = torch.minimum(first, second), torch.maximum(first, second)
    inside = _window(lowest[..., 1], highest[..., 1], rows, sigma).unsqueeze(4) & _window(
        lowest[..., 0], highest[..., 0], columns, sigma
    ).unsqueeze(3)
    right = columns - first[..., 0, None, None]  # N T V 1 W
    below = rows.unsqueeze(1) - first[..., 1, None, None]  # N T V H 1
    dx, dy = along[..., 0, None, None], along[..., 1, None, None]
    share = (right * dx + below * dy) / length.clamp(min=_SHORTEST)[..., None, None]
    share = share.clamp(0, 1)
    away = (right - share * dx).square() + (below - share * dy).square()
    scores = torch.minimum(first_scores, second_scores)
    drawn = torch.where(scores < _FAINTEST, torch.zeros_like(scores), scores)
    limb = (-away / (2 * sigma**2)).exp() * inside * drawn[..., None, None]
    point = _outer(first, first_scores, size=size, sigma=sigma)
    return torch.where((length < _SHORTEST)[..., None, None], point, limb)
