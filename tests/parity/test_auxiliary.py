"""Losses and further outputs of the younger families, against their authors' code."""

import pytest
import torch
from golden_kit import golden_given, golden_model, read_arrays, read_json, relative_error

from skelab.models import SkeletonModel
from skelab.models.families.blockgcn import BlockGCNModel
from skelab.models.families.infogcn import prior_distance
from skelab.models.families.skeletonagent import SkeletonAgentModel, alignment_loss
from skelab.nn import joint_maps, limb_maps

COCO = (
    *((0, 1), (0, 2), (1, 3), (2, 4), (0, 5), (5, 7), (7, 9), (0, 6), (6, 8), (8, 10)),
    *((5, 11), (11, 13), (13, 15), (6, 12), (12, 14), (14, 16), (11, 12)),
)


def losses() -> dict[str, torch.Tensor]:
    """What went into the recorded losses."""
    return {key: torch.tensor(value) for key, value in read_arrays("losses", "losses").items()}


def model_of(network: str) -> SkeletonModel:
    return golden_model(network, torch.float64).eval()


def test_the_code_of_a_clip_and_its_losses_are_those_of_infogcn() -> None:
    model, given = model_of("infogcn"), golden_given("infogcn", "n1_t50", torch.float64)
    recorded, arrays = read_json("losses", "losses")["infogcn"], losses()

    with torch.no_grad():
        code = model.pool(model.forward_features(given))
    distance = prior_distance(arrays["z"], arrays["labels"], arrays["z_prior"])

    expected = read_arrays("infogcn", "io_n1_t50")["aux_eval_z_f64"]
    assert relative_error(code, expected) < 1e-9
    assert distance.item() == pytest.approx(recorded["mmd"], rel=1e-9)
    assert arrays["z"].mean(dim=0).norm().item() == pytest.approx(recorded["l2_z_mean"], rel=1e-9)


@pytest.mark.parametrize("case", ["n1_t50", "n2_t64"])
def test_the_shape_of_a_clip_is_that_of_blockgcn(case: str) -> None:
    model = model_of("blockgcn")
    assert isinstance(model, BlockGCNModel)

    with torch.no_grad():
        shape = model.shape_of(golden_given("blockgcn", case, torch.float64).views["absolute"])

    expected = read_arrays("blockgcn", f"io_{case}")["aux_eval_topo_f64"]
    assert relative_error(shape, expected.reshape(shape.shape)) < 1e-12


def test_both_further_heads_are_those_of_skeletonagent() -> None:
    model, given = model_of("skeletonagent"), golden_given("skeletonagent", "n2_t12", torch.float64)
    assert isinstance(model, SkeletonAgentModel)

    with torch.no_grad():
        tokens = model.forward_features(given)
        constraint, meaning = model.constraint_logits(tokens), model.semantics(model.pool(tokens))

    expected = read_arrays("skeletonagent", "io_n2_t12")
    assert relative_error(constraint, expected["aux_eval_constraint_f64"]) < 1e-9
    assert relative_error(meaning, expected["aux_eval_semantics_f64"]) < 1e-9


def test_clips_and_texts_are_aligned_as_in_skeletonagent() -> None:
    arrays, recorded = losses(), read_json("losses", "losses")["skeletonagent_align"]
    scale = torch.tensor(recorded["logit_scale"], dtype=torch.float64)

    loss = alignment_loss(arrays["agent_skeleton"], arrays["agent_text"], arrays["labels"], scale)

    assert loss.item() == pytest.approx(recorded["mean"], rel=1e-6)


def test_heat_maps_of_joints_and_limbs_are_those_of_pyskl() -> None:
    arrays = read_arrays("heat_maps", "heat_maps")
    points = torch.tensor(arrays["in_c2"]).permute(1, 2, 0, 3).unsqueeze(0)
    scores = torch.tensor(arrays["in_c2_score"]).permute(1, 2, 0).unsqueeze(0)

    joints = joint_maps(points, scores, size=(24, 24))
    certain = joint_maps(points, torch.ones_like(scores), size=(24, 24))
    wide = joint_maps(points * 0.5, scores, size=(12, 12), sigma=1.0)
    limbs = limb_maps(points, scores, limbs=COCO, size=(24, 24))

    for found, key in (
        *((joints, "c2_kp"), (certain, "c2_kp_noscore"), (wide, "c2_kp_sigma1_scaling05")),
        (limbs, "c2_limb"),
    ):
        expected = torch.tensor(arrays[key])
        torch.testing.assert_close(found[0].transpose(0, 1), expected, rtol=0, atol=1e-6)


def test_heat_maps_at_borders_and_of_short_limbs_are_those_of_pyskl() -> None:
    arrays = read_arrays("heat_maps", "heat_maps")
    points = torch.tensor(arrays["hand_in"]).permute(1, 2, 0, 3).unsqueeze(0)
    scores = torch.tensor(arrays["hand_score"]).permute(1, 2, 0).unsqueeze(0)

    joints = joint_maps(points, scores, size=(12, 16))
    limbs = limb_maps(points, scores, limbs=((0, 1), (1, 2), (0, 2)), size=(12, 16))

    for found, key in ((joints, "hand_kp"), (limbs, "hand_limb")):
        expected = torch.tensor(arrays[key])
        torch.testing.assert_close(found[0].transpose(0, 1), expected, rtol=0, atol=1e-6)
