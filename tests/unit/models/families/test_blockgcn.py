"""BlockGCN's oddity, which its traits declare, and clips that are relative already."""

import pytest
import torch
from module_kit import STICK

from skelab.models import ModelInput, SkeletonModel, check_traits, create_model


def small(*, batch_topology: bool = False) -> SkeletonModel:
    torch.manual_seed(0)
    model = create_model(
        "blockgcn", num_classes=3, layout=STICK, width=8, batch_topology=batch_topology
    )
    assert isinstance(model, SkeletonModel)
    return model.eval()


@pytest.mark.parametrize("batch_topology", [True, False])
def test_whether_clips_of_a_batch_mix_is_declared(batch_topology: bool) -> None:
    model = small(batch_topology=batch_topology)

    assert model.traits.samples_mix == batch_topology
    assert check_traits(model) == ()


def test_clips_that_are_relative_already_come_with_the_joints_as_they_are() -> None:
    model, joints = small(), torch.randn(2, 3, 8, 5, 2)
    relative = joints - joints[:, :, :, STICK.centre : STICK.centre + 1]
    relative[:, :, :, STICK.centre] = joints[:, :, :, STICK.centre]

    given = ModelInput(relative, views={"absolute": joints})

    torch.testing.assert_close(model(given), model(joints))


def test_a_clip_of_nobody_has_finite_logits() -> None:
    assert small()(torch.zeros(2, 3, 8, 5, 2)).isfinite().all()
