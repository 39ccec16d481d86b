"""Options of the younger families that are out of range, lengths and layouts that do not fit."""

from typing import Any

import pytest
import torch

from skelab.errors import ModelError
from skelab.models import create_model


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("blockgcn", {"width": 12}, "width: expected a multiple of 8, found 12"),
        ("dgstgcn", {"width": 7}, "width: expected a whole number from 8, found 7"),
        ("freqmixformer", {"width": 16}, "width: expected a multiple of 20, found 16"),
        ("freqmixformer", {"frames": 10}, "frames: expected a multiple of 4, found 10"),
        ("freqmixformer", {"hops": 0}, "hops: expected a whole number from 1, found 0"),
        ("hdgcn", {"width": 8}, "width: expected a multiple of 16, found 8"),
        ("hypergcn", {"width": 16}, "width: expected a multiple of 32, found 16"),
        ("hypergcn", {"num_virtual": 0}, "num_virtual: expected a whole number from 1, found 0"),
        ("infogcn", {"width": 4}, "width: expected a multiple of 8, found 4"),
        ("infogcn", {"hops": 0}, "hops: expected a whole number from 1, found 0"),
        ("infogcn", {"noise": -1.0}, "noise: expected a number from 0, found -1.0"),
        ("lstc_mda", {"frames": 32}, "frames: expected a multiple of 64, found 32"),
        ("lstc_mda", {"width": 16}, "width: expected a multiple of 32, found 16"),
        ("posec3d", {"blocks": "4-6"}, "blocks: expected three numbers, say 4-6-3, found '4-6'"),
        ("posec3d", {"size": 4}, "size: expected a whole number from 8, found 4"),
        ("posec3d", {"sigma": 0.0}, "sigma: expected a number above 0, found 0.0"),
        ("posec3d", {"width": 0}, "width: expected a whole number from 1, found 0"),
        ("protogcn", {"width": 12}, "width: expected a multiple of 8, found 12"),
        ("protogcn", {"num_prototypes": 0}, "num_prototypes: expected a whole number from 1"),
        ("skateformer", {"depth": 0}, "depth: expected a whole number from 1, found 0"),
        ("skateformer", {"drop_path": 1.0}, r"drop_path: expected a number in \[0, 1\), found 1.0"),
        ("usdrl", {"width": 6, "heads": 4}, "width: expected an even multiple of heads, found 6"),
        ("usdrl", {"heads": 0}, "heads: expected a whole number from 1, found 0"),
        ("usdrl", {"frames": 300}, "frames: expected a whole number from 1 to 200, found 300"),
        ("usdrl", {"drop_path": -0.1}, r"drop_path: expected a number in \[0, 1\), found -0.1"),
        ("skeletonagent", {"width": 4}, "width: expected a whole number from 8, found 4"),
    ],
)
def test_options_out_of_range_are_refused(name: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ModelError, match=f"{name}: {message}"):
        create_model(name, num_classes=2, layout="sbu15", **options)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("skateformer", {"width": 32, "depth": 1}, "is a multiple of 64, found 50; choose"),
        ("lstc_mda", {"width": 32, "depth": 1}, "is from 64 to 64, found 50; choose"),
        ("freqmixformer", {"width": 20}, "is from 64 to 64, found 50; choose"),
        ("freqmixformer", {"width": 20, "frames": 100}, r"is from 100 to 100, found 50; choose"),
    ],
)
def test_a_length_that_does_not_fit_is_refused_with_those_that_do(
    name: str, options: dict[str, Any], message: str
) -> None:
    model = create_model(name, num_classes=2, layout="sbu15", **options).eval()

    with pytest.raises(
        ModelError, match=f"{name}: expected clips whose number of frames {message}"
    ):
        model(torch.zeros(1, 3, 50, 15, 2))
