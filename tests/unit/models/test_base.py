"""The frame around a backbone: features and logits of whole clips."""

import torch
from torch import nn

from skelab.models import SkeletonModel


def make_model(dropout: float = 0.0) -> SkeletonModel:
    """A frame around a backbone that changes nothing."""
    return SkeletonModel(
        nn.Identity(),
        num_features=3,
        num_classes=4,
        in_channels=3,
        num_joints=5,
        max_bodies=2,
        dropout=dropout,
    )


def test_the_forward_pass_is_the_head_on_the_features() -> None:
    model = make_model().eval()
    x = torch.randn(2, 3, 6, 5, 2)

    features = model.forward_features(x)

    assert features.shape == (2, 3)
    assert torch.equal(model(x), model.forward_head(features))
    torch.testing.assert_close(features, x.mean(dim=(2, 3, 4)) / (1 + 1e-5) ** 0.5)


def test_features_are_dropped_in_training_only() -> None:
    model = make_model(dropout=0.999)
    features = torch.ones(1, 3)

    torch.manual_seed(0)
    trained = model.train().forward_head(features)
    tested = model.eval().forward_head(features)

    assert torch.equal(trained[0], model.classifier.bias)
    assert not torch.equal(tested[0], model.classifier.bias)
