"""The frame around a backbone: features and logits of whole clips, absent bodies for nothing."""

import copy
from collections.abc import Mapping
from typing import Any

import pytest
import torch
from module_kit import SMALL, STICK
from torch import Tensor, nn

from skelab.errors import ModelError
from skelab.models import (
    BackboneOutput,
    FamilyTraits,
    ModelInput,
    SkeletonModel,
    Tokens,
    create_model,
    list_models,
    model_spec,
    set_activation_policy,
    set_skip_absent,
)


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

    tokens = model.forward_features(x)
    features = model.pool(tokens)

    assert tokens.dense().shape == (2, 2, 3, 6, 5)
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


# What follows: absent bodies cost nothing, and change nothing.

FAMILIES = [card.name for card in list_models() if not card.traits.bodies_mix]


def make_pair(name: str, dtype: torch.dtype, **options: Any) -> tuple[SkeletonModel, SkeletonModel]:
    """The same small network twice: one computes every body, the other spares the absent ones."""
    torch.manual_seed(0)
    options = {**SMALL.get(name, {}), **options}
    plain = create_model(name, num_classes=5, layout=STICK, **options).to(dtype)
    assert isinstance(plain, SkeletonModel)
    with torch.no_grad():
        for parameter in plain.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    sparing = copy.deepcopy(plain)
    set_skip_absent(plain, False)
    return plain, sparing


def half_empty(dtype: torch.dtype = torch.float64, frames: int = 12) -> Tensor:
    """Seven clips: two with two bodies, four without the second, one without anybody."""
    x = torch.randn(7, 3, frames, 5, 2, dtype=dtype, generator=torch.Generator().manual_seed(3))
    x[2:, ..., 1] = 0
    x[6] = 0
    return x


def count_rows(model: SkeletonModel) -> list[int]:
    """A list to which every pass through the backbone adds its rows."""
    rows: list[int] = []
    model.backbone.register_forward_pre_hook(lambda _, inputs: rows.append(len(inputs[0])))
    return rows


def relative(found: Tensor, expected: Tensor) -> float:
    """The largest difference over the largest number."""
    return float((found - expected).detach().abs().max() / expected.detach().abs().max())


@pytest.mark.parametrize(("dtype", "limit"), [(torch.float64, 1e-12), (torch.float32, 1e-5)])
@pytest.mark.parametrize("name", FAMILIES)
def test_absent_bodies_are_constants_of_the_weights(
    name: str, dtype: torch.dtype, limit: float
) -> None:
    plain, sparing = (model.eval() for model in make_pair(name, dtype))
    rows = count_rows(sparing)
    x = half_empty(dtype, plain.traits.nearest(12))

    with torch.no_grad():
        expected = plain(x)
        first, second = sparing(x), sparing(x)

    assert relative(first, expected) < limit
    assert torch.equal(first, second)
    shared = not sparing.input_norm.per_body
    assert rows == ([8, 1, 8] if shared else [8, 1, 1, 8])  # those who are there, and constants


@pytest.mark.parametrize(
    ("name", "policy"),
    [*((name, "keep") for name in FAMILIES), ("ctrgcn", "recompute"), ("msg3d", "recompute")],
)
def test_training_without_absent_bodies_is_training_with_them(name: str, policy: str) -> None:
    plain, sparing = make_pair(name, torch.float64)
    set_activation_policy(sparing, policy)
    rows = count_rows(sparing)
    x, labels = half_empty(frames=plain.traits.nearest(12)), torch.arange(7) % 5

    losses = []
    for model in (plain, sparing):
        optimiser = torch.optim.SGD(model.parameters(), lr=1e-3, momentum=0.9)
        for _ in range(2):
            optimiser.zero_grad()
            loss = nn.functional.cross_entropy(model(x), labels)
            torch.autograd.backward(loss)
            optimiser.step()
            losses.append(loss.item())

    assert set(rows) == {9 if not sparing.input_norm.per_body else 10}
    assert losses[2:] == pytest.approx(losses[:2], rel=1e-10)
    gradients = [p.grad for p in plain.parameters() if p.grad is not None]
    largest = max(float(gradient.abs().max()) for gradient in gradients)
    for (key, ours), theirs in zip(sparing.named_parameters(), plain.parameters(), strict=True):
        assert (ours.grad is None) == (theirs.grad is None), key
        if ours.grad is not None and theirs.grad is not None:
            difference = float((ours.grad - theirs.grad).abs().max())
            assert difference < 1e-8 * float(theirs.grad.abs().max()) + 1e-10 * largest, key
    for (key, seen), wanted in zip(sparing.named_buffers(), plain.buffers(), strict=True):
        torch.testing.assert_close(seen, wanted, rtol=1e-10, atol=1e-10, msg=key)


def test_training_counts_in_32_bits_too() -> None:
    plain, sparing = make_pair("ctrgcn", torch.float32)
    x = half_empty(torch.float32)

    assert relative(sparing(x), plain(x)) < 1e-5


@pytest.mark.parametrize("name", ["ctrgcn", "stgcnpp"])
def test_gradients_in_eval_mode_reach_the_weights_through_absent_bodies(name: str) -> None:
    plain, sparing = (model.eval() for model in make_pair(name, torch.float64))
    x = half_empty()

    for model in (plain, sparing):
        torch.autograd.backward(model(x).square().sum())

    for (key, ours), theirs in zip(sparing.named_parameters(), plain.parameters(), strict=True):
        assert ours.grad is not None
        assert theirs.grad is not None
        scale = float(theirs.grad.abs().max())
        torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-9, atol=1e-9 * scale, msg=key)


def test_frozen_norms_in_training_stay_frozen() -> None:
    plain, sparing = make_pair("ctrgcn", torch.float64)
    for model in (plain, sparing):
        for layer in model.backbone.modules():
            if isinstance(layer, nn.BatchNorm2d):
                layer.eval()
    x = half_empty()

    with torch.no_grad():
        assert relative(sparing(x), plain(x)) < 1e-12


@pytest.mark.parametrize("change", ["in place", "loaded", "replaced", "statistics", "input norm"])
def test_constants_are_forgotten_when_a_weight_changes(change: str) -> None:
    _, sparing = make_pair("ctrgcn", torch.float64)
    sparing.eval()
    x = half_empty()
    with torch.no_grad():
        before = sparing(x)
        weight = sparing.backbone.get_parameter("3.spatial.subsets.0.value.weight")
        if change == "in place":
            weight.mul_(1.5)
        elif change == "loaded":
            sparing.load_state_dict(
                {key: 1.1 * value for key, value in sparing.state_dict().items()}
            )
        elif change == "replaced":
            weight.data = 2 * weight.data
        elif change == "statistics":
            sparing.backbone.get_buffer("5.spatial.norm.running_mean").add_(1)
        else:
            sparing.input_norm.get_parameter("norm.bias").add_(1)

        found = sparing(x)

        set_skip_absent(sparing, False)
        assert relative(found, sparing(x)) < 1e-12
        assert relative(found, before) > 1e-6


def test_constants_are_those_of_the_mode_type_length_and_precision() -> None:
    plain, sparing = (model.eval() for model in make_pair("ctrgcn", torch.float32))

    def check(x: Tensor, limit: float) -> None:
        with torch.inference_mode():
            assert relative(sparing(x).float(), plain(x).float()) < limit

    check(half_empty(torch.float32), 1e-5)
    check(half_empty(torch.float32, frames=16), 1e-5)
    with torch.autocast("cpu", torch.bfloat16):
        check(half_empty(torch.float32), 1e-5)
    for model in (plain, sparing):
        model.train()(torch.randn(4, 3, 12, 5, 2, generator=torch.Generator().manual_seed(1)))
        model.eval()
    check(half_empty(torch.float32), 1e-5)
    plain.double()
    sparing.double()
    check(half_empty(), 1e-12)


def test_weights_made_in_inference_mode_are_no_constants_and_still_right() -> None:
    with torch.inference_mode():
        plain, sparing = (model.eval() for model in make_pair("ctrgcn", torch.float64))
        rows = count_rows(sparing)
        x = half_empty()

        assert relative(sparing(x), plain(x)) < 1e-12

    assert rows == [10]


def test_copies_start_without_constants() -> None:
    _, sparing = make_pair("ctrgcn", torch.float64)
    sparing.eval()
    with torch.no_grad():
        sparing(half_empty())

        twin = copy.deepcopy(sparing)
        rows = count_rows(twin)
        twin(half_empty())

    assert rows == [8, 1, 1]


def test_dropout_in_the_backbone_keeps_absent_bodies_apart_in_training_only() -> None:
    plain, sparing = make_pair("stgcn_official", torch.float64, temporal_dropout=0.5)
    rows = count_rows(sparing)
    x = half_empty()

    logits = []
    for model in (plain, sparing):
        torch.manual_seed(5)
        logits.append(model(x))
        with torch.no_grad():
            model.eval()(x)

    assert torch.equal(*logits)
    assert rows[:2] == [14, 8]


@pytest.mark.parametrize("training", [True, False])
def test_gradients_of_the_clips_are_those_of_all_bodies(training: bool) -> None:
    plain, sparing = (model.train(training) for model in make_pair("ctrgcn", torch.float64))
    gradients = []

    for model in (plain, sparing):
        x = half_empty().requires_grad_()
        torch.autograd.backward(model(x).square().sum())
        gradients.append(x.grad)

    assert gradients[0] is not None
    assert gradients[1] is not None
    assert torch.equal(gradients[0], gradients[1])


@pytest.mark.parametrize("training", [True, False])
def test_batches_with_nobody_absent_are_computed_as_ever(training: bool) -> None:
    plain, sparing = (model.train(training) for model in make_pair("ctrgcn", torch.float32))
    x = torch.randn(3, 3, 12, 5, 2)

    with torch.no_grad():
        assert torch.equal(sparing(x), plain(x))


def test_clips_without_anybody_have_logits_too() -> None:
    plain, sparing = (model.eval() for model in make_pair("ctrgcn", torch.float64))
    x = torch.zeros(3, 3, 12, 5, 2, dtype=torch.float64)

    with torch.no_grad():
        assert relative(sparing(x), plain(x)) < 1e-12


def make_tiny() -> SkeletonModel:
    """A network with a norm, quick to trace."""
    backbone = nn.Sequential(nn.Conv2d(3, 4, kernel_size=1), nn.BatchNorm2d(4), nn.ReLU())
    model = SkeletonModel(
        backbone, num_features=4, num_classes=2, in_channels=3, num_joints=5, max_bodies=2
    )
    return model.eval()


def test_an_exported_graph_computes_every_body() -> None:
    model = make_tiny()
    x, clips = half_empty(torch.float32), torch.export.Dim("clips", min=2, max=64)

    program = torch.export.export(model, (x,), strict=False, dynamic_shapes={"x": {0: clips}})

    set_skip_absent(model, False)
    with torch.no_grad():
        for batch in (x, torch.randn(4, 3, 12, 5, 2)):
            torch.testing.assert_close(program.module()(batch), model(batch))


@pytest.mark.filterwarnings("ignore:.*torch.jit.trace", "ignore:Converting a tensor to a Python")
def test_a_traced_graph_computes_every_body() -> None:
    model = make_tiny()
    x = half_empty(torch.float32)

    with torch.no_grad():
        traced = torch.jit.trace(model, (x,))  # type: ignore[no-untyped-call]

        set_skip_absent(model, False)
        for batch in (x, torch.randn(4, 3, 12, 5, 2)):
            torch.testing.assert_close(traced(batch), model(batch))


def test_tensors_without_numbers_pass_through() -> None:
    _, sparing = make_pair("ctrgcn", torch.float32)

    assert sparing.to("meta")(half_empty(torch.float32).to("meta")).shape == (7, 5)


def test_the_option_and_the_switch_turn_it_off_and_on() -> None:
    off = create_model("ctrgcn", num_classes=5, layout=STICK, width=8, skip_absent=False).eval()
    assert isinstance(off, SkeletonModel)
    rows = count_rows(off)
    x = half_empty(torch.float32)

    with torch.no_grad():
        off(x)
        set_skip_absent(nn.Sequential(off), True)
        off(x)

    assert rows == [14, 8, 1, 1]
    assert model_spec(off).options["skip_absent"] is False
    assert list(off.state_dict()) == list(create_model("ctrgcn", num_classes=5).state_dict())


def test_steps_are_repeated_bit_for_bit() -> None:
    x = half_empty(torch.float32)

    runs = []
    for _ in range(2):
        _, model = make_pair("ctrgcn", torch.float32)
        optimiser = torch.optim.SGD(model.parameters(), lr=1e-3)
        for _ in range(2):
            optimiser.zero_grad()
            torch.autograd.backward(model(x).square().mean())
            optimiser.step()
        runs.append(model.state_dict())

    assert all(torch.equal(runs[0][key], runs[1][key]) for key in runs[0])


# What follows: inputs that are more than joints, heads, and losses of a family's own.


@pytest.mark.parametrize("training", [True, False])
def test_an_input_with_more_than_joints_gives_the_same(training: bool) -> None:
    model, twin = (model.train(training) for model in make_pair("ctrgcn", torch.float64))
    x = half_empty()
    given = ModelInput(x, times=torch.arange(84.0).view(7, 12), labels=torch.arange(7))
    set_skip_absent(model, True)

    torch.testing.assert_close(model(given), twin(x), rtol=0, atol=0)
    assert model.forward_features(given).given is given


def test_outputs_are_the_logits_and_no_losses_where_a_family_has_none() -> None:
    model, twin = make_pair("ctrgcn", torch.float64)
    set_skip_absent(model, True)
    x = half_empty()

    found = model.outputs(x)

    assert torch.equal(found.logits, twin(x))
    assert dict(found.auxiliary) == {}


@pytest.mark.parametrize("training", [True, False])
def test_tokens_with_absent_bodies_spared_are_those_of_the_plain_way(training: bool) -> None:
    plain, sparing = (model.train(training) for model in make_pair("ctrgcn", torch.float64))
    x = half_empty()

    with torch.no_grad():
        expected, found = plain.forward_features(x), sparing.forward_features(x)

    assert found.rows.shape[0] < expected.rows.shape[0] == 14
    assert found.stride == 4
    assert relative(found.dense(), expected.dense()) < 1e-12
    assert found.valid().shape == (7, 2, 3)
    assert found.valid()[:, :, 0].tolist() == [[True, True]] * 2 + [[True, False]] * 4 + [
        [False, False]
    ]


def test_another_head_takes_the_classifiers_place_and_keys() -> None:
    model = make_model(dropout=0.5).eval()
    keys = list(model.state_dict())
    x = torch.randn(2, 3, 6, 5, 2)

    model.replace_head(nn.Linear(model.num_features, 7))

    assert model(x).shape == model.outputs(x).logits.shape == (2, 7)
    assert list(model.state_dict()) == keys
    assert model.state_dict()["classifier.weight"].shape == (7, 3)


def test_another_pooling_is_asked_for_the_features() -> None:
    class Largest(nn.Module):
        def forward(self, tokens: Tokens) -> Tensor:
            return tokens.dense().amax(dim=(1, 3, 4))

    model = SkeletonModel(
        nn.Identity(),
        num_features=3,
        num_classes=4,
        in_channels=3,
        num_joints=5,
        max_bodies=2,
        pooling=Largest(),
    ).eval()
    x = torch.randn(2, 3, 6, 5, 2)

    pooled = model.pool(model.forward_features(x))

    torch.testing.assert_close(pooled, x.amax(dim=(2, 3, 4)) / (1 + 1e-5) ** 0.5)


def test_a_stride_below_one_is_refused() -> None:
    with pytest.raises(ModelError, match="stride: expected a whole number from 1, found 0"):
        SkeletonModel(
            nn.Identity(),
            num_features=3,
            num_classes=4,
            in_channels=3,
            num_joints=5,
            max_bodies=2,
            stride=0,
        )


@pytest.mark.parametrize(
    ("traits", "frames", "message"),
    [
        (FamilyTraits(min_frames=8), 6, r"at least 8, found 6; choose such .*window=64\)"),
        (FamilyTraits(max_frames=32), 40, r"from 1 to 32, found 40; choose such .*window=32\)"),
        (FamilyTraits(frames_multiple_of=6), 8, r"a multiple of 6, found 8; choose .*window=66\)"),
    ],
)
def test_a_length_that_a_family_does_not_take_is_refused(
    traits: FamilyTraits, frames: int, message: str
) -> None:
    model = make_model()
    model.traits = traits

    with pytest.raises(
        ModelError, match=f"SkeletonModel: expected clips whose number of frames is {message}"
    ):
        model(torch.zeros(1, 3, frames, 5, 2))


@pytest.mark.parametrize("trait", ["bodies_mix", "samples_mix"])
@pytest.mark.parametrize("training", [True, False])
def test_absent_bodies_of_a_family_that_mixes_are_computed(trait: str, training: bool) -> None:
    _, model = make_pair("ctrgcn", torch.float64)
    model.traits = FamilyTraits(**{trait: True})
    rows = count_rows(model)

    with torch.no_grad():
        model.train(training)(half_empty())

    assert rows == [14]


class Penalised(nn.Module):
    """A backbone with losses of its own: how large its features are."""

    def __init__(self, *, together: bool = False) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 3, kernel_size=1)
        self.norm = nn.BatchNorm2d(3)
        self.together = together

    def forward(self, x: Tensor) -> BackboneOutput:
        features = self.norm(self.conv(x))
        size = features.square().mean(dim=(1, 2, 3))
        return BackboneOutput(features, {"size": size.mean() if self.together else size})


class Centred(SkeletonModel):
    """A family with a loss that needs the labels: features near the mean of their class."""

    name = "centre"

    def auxiliary_losses(self, tokens: Tokens) -> Mapping[str, Tensor]:
        assert tokens.given.labels is not None
        features = self.pool(tokens)
        same = (tokens.given.labels[:, None] == tokens.given.labels).to(features.dtype)
        centres = same @ features / same.sum(dim=1, keepdim=True)
        return {self.name: (features - centres).square().mean()}


def make_penalised(*, skip_absent: bool = True, together: bool = False) -> Centred:
    torch.manual_seed(0)
    model = Centred(
        Penalised(together=together),
        num_features=3,
        num_classes=4,
        in_channels=3,
        num_joints=5,
        max_bodies=2,
    )
    set_skip_absent(model, skip_absent)
    return model.double()


def test_losses_of_backbone_and_family_are_those_of_all_bodies_with_or_without_sparing() -> None:
    given = ModelInput(half_empty(), labels=torch.arange(7) % 3)
    found, gradients = [], []

    for skip_absent in (False, True):
        model = make_penalised(skip_absent=skip_absent)
        output = model.outputs(given)
        torch.autograd.backward([output.logits.sum(), *output.auxiliary.values()])
        found.append(output.auxiliary)
        gradients.append(model.backbone.get_parameter("conv.weight").grad)

    assert list(found[0]) == list(found[1]) == ["size", "centre"]
    features = make_penalised(skip_absent=False).forward_features(given).dense()
    torch.testing.assert_close(found[0]["size"], features.square().mean())
    for name in found[0]:
        torch.testing.assert_close(found[1][name], found[0][name], rtol=1e-12, atol=1e-12)
    assert gradients[0] is not None
    torch.testing.assert_close(gradients[1], gradients[0], rtol=1e-9, atol=1e-9)


def test_outside_training_there_are_no_losses() -> None:
    model = make_penalised().eval()

    with torch.no_grad():
        tokens, output = model.forward_features(half_empty()), model.outputs(half_empty())

    assert dict(tokens.auxiliary) == dict(output.auxiliary) == {}


def test_a_single_loss_of_the_backbone_is_taken_where_nobody_is_spared() -> None:
    given = ModelInput(half_empty(), labels=torch.arange(7) % 3)
    plain = make_penalised(skip_absent=False, together=True)
    mixing = make_penalised(together=True)
    mixing.traits = FamilyTraits(samples_mix=True)

    losses = [model.outputs(given).auxiliary["size"] for model in (plain, mixing)]

    assert torch.equal(*losses)
    with pytest.raises(
        ModelError,
        match=r"'size' of the backbone: expected one number for each of 10 bodies, found a single"
        r" number; declare samples_mix",
    ):
        make_penalised(together=True).outputs(given)


@pytest.mark.parametrize(
    ("name", "axes", "message"),
    [
        ("size", 0, "'size': expected one number, found a second one of this name"),
        ("centre", 1, "'centre': expected one number, found 1 axes"),
    ],
)
def test_losses_of_a_family_that_do_not_fit_are_refused(
    name: str, axes: int, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = make_penalised()
    loss = torch.zeros([2] * axes, dtype=torch.float64)
    monkeypatch.setattr(model, "auxiliary_losses", lambda tokens: {name: loss})

    with pytest.raises(ModelError, match=f"auxiliary loss {message}"):
        model.outputs(half_empty())
