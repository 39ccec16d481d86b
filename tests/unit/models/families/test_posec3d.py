"""PoseC3D draws what it is given: 2D poses with scores, and 3D ones without."""

from typing import Any

import pytest
import torch

from skelab.errors import ModelError
from skelab.models import create_model
from skelab.models.families.posec3d import PoseC3DModel

SMALL: dict[str, Any] = {"width": 2, "blocks": "1-1-1", "size": 16}


def model(layout: str, **options: Any) -> PoseC3DModel:
    torch.manual_seed(0)
    made = create_model("posec3d", num_classes=3, layout=layout, **{**SMALL, **options})
    assert isinstance(made, PoseC3DModel)
    return made.eval()


def test_a_joint_that_was_not_seen_is_not_drawn() -> None:
    coco, x = model("coco17"), torch.rand(1, 3, 4, 17, 2) + 0.5
    x[:, 2, :, 5] = 0.0  # the score of one joint

    maps = coco.draw(x)

    assert maps.shape == (1, 17, 4, 16, 16)
    assert not maps[:, 5].any()
    assert maps[:, 6].any()


def test_scale_and_place_of_a_clip_do_not_matter() -> None:
    ntu, x = model("ntu25"), torch.randn(2, 3, 4, 25, 1).expand(-1, -1, -1, -1, 2)

    moved = torch.cat([3 * x[:, :2] + 7, x[:, 2:]], dim=1)

    torch.testing.assert_close(ntu.draw(moved), ntu.draw(x), rtol=1e-3, atol=1e-4)


def test_limbs_are_drawn_in_the_authors_order_for_coco_and_as_bones_elsewhere() -> None:
    coco, ntu = model("coco17", limbs=True), model("ntu25", limbs=True)

    assert coco.limbs is not None
    assert coco.limbs[:2] == ((0, 5), (0, 6))
    assert coco.draw(torch.rand(1, 3, 4, 17, 2)).shape[1] == 17
    assert ntu.draw(torch.rand(1, 3, 4, 25, 2)).shape[1] == 24


@pytest.mark.parametrize("frames", [1, 7])
def test_every_body_of_a_clip_has_the_tokens_of_the_film(frames: int) -> None:
    tokens = model("coco17").forward_features(torch.rand(2, 3, frames, 17, 2)).dense()

    assert tokens.shape == (2, 2, 32, -(-frames // 2), 4)
    assert torch.equal(tokens[:, 0], tokens[:, 1])


def test_a_wide_image_shows_bodies_in_their_proportions() -> None:
    square, wide = model("coco17"), model("coco17", aspect=2.0)
    in_pixels = torch.rand(1, 3, 4, 17, 2) + 0.5
    halves = in_pixels * torch.tensor([0.5, 1.0, 1.0]).view(1, 3, 1, 1, 1)  # an image of 2 x 1

    torch.testing.assert_close(wide.draw(halves), square.draw(in_pixels), rtol=1e-4, atol=1e-5)
    assert model("ntu25", aspect=2.0).aspect == 1.0


def test_an_aspect_of_no_image_is_refused() -> None:
    with pytest.raises(ModelError, match=r"posec3d: aspect: expected a number from 0\.1 to 10"):
        model("coco17", aspect=0.0)
