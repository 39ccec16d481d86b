"""Spanning trees and how their lengths are encoded."""

import numpy as np
import torch
from module_kit import randomised
from scipy.sparse.csgraph import minimum_spanning_tree

from skelab.nn import BarcodeEncoding, spanning_tree_lengths


def test_the_lengths_are_those_of_a_minimum_spanning_tree() -> None:
    points = torch.randn(3, 9, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    distance = torch.cdist(points, points)

    found = spanning_tree_lengths(distance)

    for clip, lengths in zip(distance.numpy(), found.numpy(), strict=True):
        expected = minimum_spanning_tree(clip).data
        np.testing.assert_allclose(np.sort(lengths), np.sort(expected), rtol=1e-12)


def test_points_that_coincide_and_single_points_have_lengths_too() -> None:
    together, alone = torch.zeros(2, 4, 4), torch.zeros(2, 1, 1)

    assert torch.equal(spanning_tree_lengths(together), torch.zeros(2, 3))
    assert spanning_tree_lengths(alone).shape == (2, 0)


def test_an_encoding_is_the_sum_of_bumps_around_its_places() -> None:
    encoding = randomised(BarcodeEncoding(3))
    lengths = torch.tensor([[0.1, 0.7], [0.4, 0.2]], dtype=torch.float64)

    found = encoding(lengths)

    expected = torch.zeros(2, 3, dtype=torch.float64)
    for clip in range(2):
        for place in range(3):
            (birth, death), (first, second) = encoding.places[place], encoding.sharpness[place]
            for length in lengths[clip]:
                away = (first * birth) ** 2 + (second * (death - length)) ** 2
                expected[clip, place] += torch.exp(-away)
    torch.testing.assert_close(found, expected)
