"""Poses as pictures; the authors' own maps are in the parity tests."""

import math

import torch

from skelab.nn import fit_to_box, joint_maps, limb_maps


def one_joint(x: float, y: float, score: float = 1.0) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.tensor([x, y]).view(1, 1, 1, 1, 2), torch.tensor([score]).view(1, 1, 1, 1)


def test_a_joint_is_a_gaussian_around_its_place_times_its_score() -> None:
    points, scores = one_joint(3.2, 1.0, 0.5)

    (picture,) = joint_maps(points, scores, size=(4, 8))[0, 0]

    assert picture[1, 3].item() == torch.tensor(0.5 * math.exp(-(0.2**2) / 0.72)).item()
    assert picture[0, 3] < picture[1, 3]
    assert picture[1, 6] == 0  # beyond three standard deviations


def test_joints_that_were_hardly_seen_are_not_drawn_and_bodies_share_the_maps() -> None:
    points = torch.tensor([[1.0, 1.0], [2.0, 2.0]]).view(1, 1, 1, 2, 2)

    both = joint_maps(points, torch.ones(1, 1, 1, 2), size=(4, 4))[0, 0, 0]
    faint = joint_maps(points, torch.tensor([1.0, 0.0009]).view(1, 1, 1, 2), size=(4, 4))[0, 0, 0]

    assert both[1, 1] == both[2, 2] == 1.0
    assert faint[2, 2] < 0.1


def test_a_limb_is_as_bright_all_along_as_its_fainter_end() -> None:
    points = torch.tensor([[1.0, 2.0], [5.0, 2.0]]).view(1, 1, 2, 1, 2)
    scores = torch.tensor([1.0, 0.5]).view(1, 1, 2, 1)

    (picture,) = limb_maps(points, scores, limbs=[(0, 1)], size=(5, 8))[0, 0]

    assert torch.equal(picture[2, 1:6], torch.full((5,), 0.5))


def test_a_box_shows_all_bodies_with_a_margin_and_keeps_proportions() -> None:
    points = torch.tensor([[0.0, 5.0], [4.0, 7.0], [9.0, 9.0]]).view(1, 1, 3, 1, 2)
    present = torch.tensor([True, True, False]).view(1, 1, 3, 1)

    fitted = fit_to_box(points, present, size=50)[0, 0, :, 0]

    # 4 wide and 2 high: a box of 5 by 5 around (2, 6), ten pixels a unit
    torch.testing.assert_close(fitted[:2], torch.tensor([[5.0, 15.0], [45.0, 35.0]]))


def test_a_clip_without_anybody_is_an_empty_film() -> None:
    points, present = torch.zeros(2, 3, 4, 2, 2), torch.zeros(2, 3, 4, 2, dtype=torch.bool)

    fitted = fit_to_box(points, present, size=8)

    assert fitted.isfinite().all()
    assert not joint_maps(fitted, present.float(), size=(8, 8)).any()
