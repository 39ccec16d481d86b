"""Programs written step by step."""

from itertools import pairwise

import numpy as np

from skelab.inference.folding.builder import Builder
from skelab.inference.folding.norms import Affine, Linear


def test_tensors_share_memory_unless_they_are_needed_at_the_same_time() -> None:
    builder = Builder(3, 5, vector=4)
    eye = Linear(np.eye(4)[None], np.zeros(4))
    x = builder.input(Affine(np.ones((1, 5, 3)), np.zeros((1, 5, 3))))
    chain = [builder.tensor(builder.lanes(4), stride=1) for _ in range(4)]
    builder.convolve(x, chain[0], Linear(np.zeros((1, 3, 4)), np.zeros(4)))
    for before, after in pairwise(chain):
        builder.convolve(before, after, eye)
    builder.mean(chain[-1])

    slots = [tensor.slot for tensor in builder.finish().tensors]

    assert slots == [0, 1, 0, 1, 0]


def test_weights_are_laid_out_by_the_lanes_of_both_tensors() -> None:
    builder = Builder(3, 5, vector=4)
    x = builder.input(Affine(np.ones((1, 5, 3)), np.zeros((1, 5, 3))))
    y = builder.tensor(builder.lanes(1, 2), stride=2, halo=1)
    builder.convolve(x, y.only(1), Linear(np.arange(6.0).reshape(1, 3, 2), np.array([7.0, 8])))

    step = builder.finish().steps[-1]

    # from tensor 0 lane 0 to tensor 1 lane 4; 1 tap, depth 3, 4 columns; no residual, no ReLU
    assert step.numbers == (0, 0, 1, 4, 1, 3, 4, 1, -1, 0, 0)
    np.testing.assert_array_equal(step.arrays[0][0], [[0, 1, 0, 0], [2, 3, 0, 0], [4, 5, 0, 0]])
    np.testing.assert_array_equal(step.arrays[1], [7, 8, 0, 0])
