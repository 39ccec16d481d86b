"""A family that declares what is not true of it is caught, and the place is named."""

import pytest
import torch
from torch import Tensor, nn

from skelab.errors import ModelError
from skelab.models import FamilyTraits, SkeletonModel, check_traits


class Mixing(nn.Module):
    """A convolution over frames of each body that then mixes bodies, clips or frames."""

    def __init__(self, what: str = "", *, padding: tuple[int, int] = (1, 1)) -> None:
        super().__init__()
        self.what = what
        self.pad = nn.ZeroPad2d((0, 0, *padding))
        self.conv = nn.Conv2d(3, 4, kernel_size=(3, 1))
        self.norm = nn.BatchNorm2d(4)

    def forward(self, x: Tensor) -> Tensor:  # two bodies a clip
        x = self.norm(self.conv(self.pad(x)))
        if self.what == "bodies":
            return x + 0.1 * x.view(-1, 2, *x.shape[1:]).flip(1).flatten(0, 1)
        if self.what == "samples" or (self.what == "samples in training" and self.training):
            return x - x.mean(dim=0)
        return x[:, :, ::2] if self.what == "stride" else x


def model_of(backbone: nn.Module, *, bodies: int = 2, **traits: int | None) -> SkeletonModel:
    model = SkeletonModel(
        backbone, num_features=4, num_classes=2, in_channels=3, num_joints=5, max_bodies=bodies
    )
    model.traits = FamilyTraits(**traits)  # type: ignore[arg-type]
    return model


@pytest.mark.parametrize(
    ("what", "traits"),
    [
        ("", {}),
        ("bodies", {"bodies_mix": True}),
        ("samples", {"bodies_mix": True, "samples_mix": True}),
        ("samples in training", {"bodies_mix": True, "samples_mix": True}),
    ],
)
def test_true_declarations_pass(what: str, traits: dict[str, bool]) -> None:
    assert check_traits(model_of(Mixing(what), **traits)) == ()


def test_a_causal_network_may_say_so() -> None:
    assert check_traits(model_of(Mixing(padding=(2, 0)), causal=True)) == ()


def test_bodies_that_mix_although_the_family_denies_it_are_named() -> None:
    (fault,) = check_traits(model_of(Mixing("bodies")))

    assert fault.startswith(
        "SkeletonModel: bodies_mix: declared False, but changing body 0 moves body 1 by "
    )
    assert fault.endswith(" of the largest feature, in eval mode")


def test_samples_that_mix_are_named_in_the_mode_where_they_do() -> None:
    (fault,) = check_traits(model_of(Mixing("samples in training"), bodies_mix=True))

    assert "SkeletonModel: samples_mix: declared False, but changing clip 0 moves clip " in fault
    assert fault.endswith("in training")


def test_a_token_that_sees_later_frames_is_named() -> None:
    (fault,) = check_traits(model_of(Mixing(), causal=True))

    assert "causal: declared True, but changing frame 3 moves token 2 (frames 2 to 2) by" in fault


@pytest.mark.parametrize(
    ("padding", "traits", "message"),
    [
        ((1, 1), {"bodies_mix": True}, "bodies_mix: declared True, but no body moves when another"),
        ((1, 1), {"samples_mix": True}, "samples_mix: declared True, but no clip moves when an"),
        ((2, 0), {}, "causal: declared False, but no earlier token moves when a frame changes"),
    ],
)
def test_what_is_declared_must_happen(
    padding: tuple[int, int], traits: dict[str, bool], message: str
) -> None:
    faults = check_traits(model_of(Mixing(padding=padding), **traits))

    assert [message in fault for fault in faults] == [True]


def test_a_family_of_one_body_is_not_asked_whether_bodies_mix() -> None:
    assert check_traits(model_of(Mixing(), bodies=1, bodies_mix=True)) == ()


def test_a_length_that_fails_and_a_stride_that_is_wrong_are_named() -> None:
    short = check_traits(model_of(Mixing(padding=(0, 0))))
    halved = check_traits(model_of(Mixing("stride")))

    assert "lengths: declared any number, but 1 frames fail: " in short[0]
    assert "SkeletonModel: stride: declared 1, which makes 2 tokens of 2 frames, found 1" in halved


def test_numbers_that_are_not_finite_are_named() -> None:
    class Divided(Mixing):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x) / (x.shape[2] - 1)

    faults = check_traits(model_of(Divided()))

    assert faults == (
        "SkeletonModel: lengths: declared any number, but 1 frames give logits that are not finite",
    )


def test_the_model_and_the_random_generator_are_left_as_they_were() -> None:
    model = model_of(Mixing()).train()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    torch.manual_seed(1)
    expected = torch.rand(3)

    torch.manual_seed(1)
    check_traits(model)

    assert torch.equal(torch.rand(3), expected)
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    assert model.training


def test_a_module_without_tokens_is_refused() -> None:
    with pytest.raises(ModelError, match="Linear: expected a SkeletonModel, whose tokens can be"):
        check_traits(nn.Linear(1, 1))
