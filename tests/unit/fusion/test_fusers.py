import math
from dataclasses import replace
from itertools import product
from typing import Any

import pytest
import torch
from side_car_kit import NUM_CLASSES, SIZE, fused_input
from tiny_clips import SBU15
from torch import Tensor, nn

from skelab.data.feeding.batch import FEATURES, VALID
from skelab.errors import ModelError
from skelab.fusion import (
    FUSERS,
    AttendFuser,
    FusionSpec,
    GatedFuser,
    LateHead,
    attach_fuser,
)
from skelab.inference.checkpoint import build_model
from skelab.models import ModelInput, ModelSpec, SkeletonModel, create_model, specify_model
from skelab.tasks import TaskSpec

SMALL: dict[str, dict[str, Any]] = {"stgcn": {"width": 4}, "ctrgcn": {}, "msg3d": {}, "aagcn": {}}


def spec(kind: str, drop: float = 0.3) -> FusionSpec:
    return FusionSpec(kind, SIZE, "imu", "1", drop=drop, width=8)


def model_spec(name: str = "stgcn", **options: Any) -> ModelSpec:
    return specify_model(
        name, num_classes=NUM_CLASSES, layout=SBU15, **{**SMALL.get(name, {}), **options}
    )


def made(kind: str | None, name: str = "stgcn", drop: float = 0.3) -> SkeletonModel:
    torch.manual_seed(0)
    model = build_model(model_spec(name), None, spec(kind, drop) if kind else None)
    assert isinstance(model, SkeletonModel)
    return model


def shaken(model: SkeletonModel) -> SkeletonModel:
    """The model with every weight moved, so that no gate is at its start."""
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(torch.randn(weight.shape, generator=generator), alpha=0.1)
    return model


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("training", [False, True])
def test_attend_is_the_skeleton_network_bit_for_bit_at_step_0(name: str, training: bool) -> None:
    given = fused_input()
    alone, fused = made(None, name), made("attend", name)

    expected = alone.train(training).outputs(given.joints).logits
    found = fused.train(training).outputs(given).logits

    assert torch.equal(found, expected)
    own = alone.state_dict()
    assert all(torch.equal(fused.state_dict()[key], value) for key, value in own.items())


@pytest.mark.parametrize("kind", [*FUSERS])
def test_a_clip_without_a_side_car_is_served_by_the_same_network(kind: str) -> None:
    model = shaken(made(kind)).eval()
    given = fused_input()

    with torch.no_grad():
        fused, alone = model(given), model(given.joints)
        none = model(replace(given, sidecars={**given.sidecars, VALID: torch.zeros(3, 4) > 0}))

    assert torch.equal(fused[2], alone[2])
    assert torch.equal(none, alone)
    assert not torch.allclose(fused[:2], alone[:2])


@pytest.mark.parametrize("kind", [*FUSERS, "side-car"])
def test_what_is_invalid_never_matters(kind: str) -> None:
    model = shaken(made(kind)).eval()
    given = fused_input()
    features = given.sidecars[FEATURES].clone()
    features[:, 3] = 1e3
    features[2] = 7

    with torch.no_grad():
        changed = model(replace(given, sidecars={**given.sidecars, FEATURES: features}))
        assert torch.equal(changed, model(given))


@pytest.mark.parametrize("kind", ["gated", "attend"])
def test_training_drops_side_cars_and_evaluation_does_not(kind: str) -> None:
    model = shaken(made(kind, drop=0.999)).train()
    given = fused_input()

    torch.manual_seed(0)
    dropped = model.outputs(given).logits
    expected = model.outputs(given.joints).logits
    model.eval()

    assert torch.equal(dropped, expected)
    assert not torch.equal(model(given), model(given.joints))


def test_the_side_car_alone_does_not_see_the_skeleton() -> None:
    model = shaken(made("side-car")).eval()
    first, second = fused_input(seed=0), fused_input(seed=1)
    other = replace(second, sidecars=first.sidecars)

    with torch.no_grad():
        assert torch.equal(model(first), model(other))
        assert not torch.equal(model(first)[:2], model(second)[:2])


def test_gated_equals_its_equation_written_as_loops() -> None:
    model = shaken(made("gated")).double().eval()
    fuser = model.pooling
    assert isinstance(fuser, GatedFuser)
    given = doubled(fused_input())
    tokens = model.forward_features(given)

    found = fuser(tokens)

    skeleton = fuser.pooling(tokens)
    for clip in (0, 1):
        vectors = [fuser.encode(given.sidecars[FEATURES][clip, s]) for s in range(3)]
        both = torch.cat([skeleton[clip], torch.stack(vectors).mean(dim=0)])
        expected = skeleton[clip] + fuser.gate(both).sigmoid() * fuser.add(both)
        torch.testing.assert_close(found[clip], expected)
    torch.testing.assert_close(found[2], skeleton[2], rtol=0, atol=0)


def test_attend_equals_its_equation_written_as_loops() -> None:
    model = shaken(made("attend")).double().eval()
    fuser = model.pooling
    assert isinstance(fuser, AttendFuser)
    given = doubled(fused_input())
    tokens = model.forward_features(given)

    found = fuser(tokens)

    moments = tokens.dense().mean(dim=(1, 4))  # N F L
    length, slope = moments.shape[2], nn.functional.softplus(fuser.slope)
    for clip in (0, 1):
        vectors = [fuser.encode(given.sidecars[FEATURES][clip, s]) for s in range(3)]
        total = torch.zeros_like(found[clip])
        for moment in range(length):
            query = fuser.query(moments[clip, :, moment])
            at = (moment + 0.5) * tokens.stride - 0.5
            weights = []
            for vector, position in zip(vectors, (0, 5, 10), strict=True):
                near = slope * abs(at - position) / 16
                weights.append((query @ fuser.key(vector) / math.sqrt(8) - near).exp())
            for weight, vector in zip(weights, vectors, strict=True):
                total = total + weight / sum(weights) * fuser.value(vector) / length
        expected = fuser.pooling(tokens)[clip] + fuser.gate * total
        torch.testing.assert_close(found[clip], expected)


def test_late_adds_log_probabilities_by_its_share() -> None:
    model = shaken(made("late")).double().eval()
    head = model.classifier
    assert isinstance(head, LateHead)
    head.share.fill_(0.3)
    features = model.pool(model.forward_features(doubled(fused_input())))
    count = model.num_features

    found = model.forward_head(features)

    for clip, k in product((0, 1), range(NUM_CLASSES)):
        own = head.skeleton(features[clip, :count]).log_softmax(dim=0)[k]
        other = head.side_car(features[clip, count:-1]).log_softmax(dim=0)[k]
        torch.testing.assert_close(found[clip, k], 0.7 * own + 0.3 * other)


def test_the_two_classifiers_of_late_fusion_learn_apart() -> None:
    model = made("late").train()
    given = replace(fused_input(), labels=torch.tensor([0, 1, 2]))

    output = model.outputs(given)
    head = model.classifier
    assert isinstance(head, LateHead)
    weights: dict[str, list[Tensor]] = {
        "backbone": [*model.backbone.parameters()],
        "side car": [head.side_car.weight],
    }
    reached = {
        (loss, name)
        for loss, term in (("own", output.logits.sum()), ("other", output.auxiliary["side_car"]))
        for name, group in weights.items()
        for found in torch.autograd.grad(term, group, retain_graph=True, allow_unused=True)
        if found is not None and found.any()
    }

    assert reached == {("own", "backbone"), ("other", "side car")}


def test_side_cars_of_another_size_are_refused() -> None:
    model = made("gated").eval()
    given = fused_input()
    wrong = {**given.sidecars, FEATURES: torch.randn(3, 4, SIZE + 1)}

    with pytest.raises(ModelError, match="side-cars: expected vectors of 5 numbers, found 6"):
        model(ModelInput(given.joints, sidecars=wrong))


def test_networks_that_cannot_be_fused_are_refused() -> None:
    causal = model_spec(causal=True)

    with pytest.raises(ModelError, match="expected one of late, gated, attend, side-car, found"):
        attach_fuser(create_model("stgcn", num_classes=3), spec("early"))
    with pytest.raises(ModelError, match="expected a network that gives tokens, found a Linear"):
        attach_fuser(nn.Linear(2, 2), spec("gated"))
    with pytest.raises(ModelError, match="expected a network that answers once a clip"):
        build_model(causal, TaskSpec("early-frames"), spec("gated"))


def doubled(given: ModelInput) -> ModelInput:
    """The same in float64."""
    cars = {k: v.double() if v.is_floating_point() else v for k, v in given.sidecars.items()}
    return ModelInput(given.joints.double(), sidecars=cars)
