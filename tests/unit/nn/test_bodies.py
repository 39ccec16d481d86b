"""Bodies join the batch normalised."""

import pytest
import torch
from module_kit import normed, randomised

from skelab.errors import ModelError
from skelab.nn import BodyNorm, BodySplit, EmbeddedBodyNorm


def test_each_coordinate_of_each_joint_of_each_body_has_its_own_scale() -> None:
    norm = randomised(BodyNorm(3, 4, 2))
    x = torch.randn(2, 3, 5, 4, 2, dtype=torch.float64)

    bodies = norm(x)

    for n, m, v, c in torch.cartesian_prod(*[torch.arange(size) for size in (2, 2, 4, 3)]).tolist():
        channel = m * 12 + v * 3 + c
        series = torch.zeros(1, 24, 5, dtype=torch.float64)
        series[0, channel] = x[n, c, :, v, m]
        expected = normed(norm.norm, series)[0, channel]
        torch.testing.assert_close(bodies[n * 2 + m, c, :, v], expected)


def test_bodies_can_share_their_scales() -> None:
    norm = randomised(BodyNorm(3, 4, 2, per_body=False))
    x = torch.randn(2, 3, 5, 4, 2, dtype=torch.float64)

    bodies = norm(x)

    for n, m, v, c in torch.cartesian_prod(*[torch.arange(size) for size in (2, 2, 4, 3)]).tolist():
        series = torch.zeros(1, 12, 5, dtype=torch.float64)
        series[0, v * 3 + c] = x[n, c, :, v, m]
        expected = normed(norm.norm, series)[0, v * 3 + c]
        torch.testing.assert_close(bodies[n * 2 + m, c, :, v], expected)


def test_clips_of_another_shape_are_refused_with_both_shapes() -> None:
    norm = BodyNorm(3, 25, 2)

    with pytest.raises(ModelError) as refusal:
        norm(torch.zeros(4, 3, 10, 20, 1))

    assert str(refusal.value) == (
        "model input: expected N x 3 x T x 25 x 2 (channels, frames, joints, bodies), found"
        " 4 x 3 x 10 x 20 x 1; make the model with the layout, channels and bodies of the clips"
    )


def test_joints_are_embedded_and_told_apart_before_they_are_normalised() -> None:
    torch.manual_seed(0)
    norm = EmbeddedBodyNorm(3, 5, 2, channels=4, saturate=True, mix=torch.randn(5, 5)).eval()
    x = torch.randn(2, 3, 6, 5, 2)
    assert norm.mix is not None

    found = norm(x)

    mixed = torch.einsum("uv,nctvm->nctum", norm.mix, x)
    for body, joint in ((0, 3), (1, 4)):
        seen = norm.embed(mixed[:, :, :, joint, body].transpose(1, 2))  # N T D
        expected = (seen + norm.position[0, joint]).tanh() / (1 + norm.norm.eps) ** 0.5
        torch.testing.assert_close(found[body::2, :, :, joint], expected.transpose(1, 2))


def test_bodies_can_be_split_without_being_normalised() -> None:
    x = torch.randn(2, 3, 4, 5, 2)

    bodies = BodySplit(3, 5, 2)(x)

    assert torch.equal(bodies[3], x[1, ..., 1])
    with pytest.raises(ModelError, match=r"expected N x 3 x T x 5 x 2 .* found 2 x 3 x 4 x 5 x 1"):
        BodySplit(3, 5, 2)(x[..., :1])
