"""The step that is measured and traced is the one that trains."""

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from trace_kit import short

from skelab.fit.figures import NotTriedError
from skelab.fit.step import InferenceStep, TrainingStep


def test_a_step_changes_weights_and_running_statistics() -> None:
    step = TrainingStep(short("stgcn"))
    before = {name: value.clone() for name, value in step.model.state_dict().items()}

    step.run()

    after = step.model.state_dict()
    assert any(not torch.equal(before[name], after[name]) for name in before if "conv" in name)
    assert any(not torch.equal(before[name], after[name]) for name in before if "mean" in name)
    assert all(torch.isfinite(value).all() for value in after.values())


def test_gradients_of_micro_batches_add_up_to_the_share_that_they_are_of_a_batch() -> None:
    once, twice = (TrainingStep(short("stgcn", clips=2, batch=4)) for _ in range(2))
    once.begin()
    once.forward_backward()

    twice.begin()
    twice.forward_backward()
    twice.forward_backward()

    for single, double in zip(once.gradients(), twice.gradients(), strict=True):
        torch.testing.assert_close(double, 2 * single, rtol=1e-3, atol=1e-5)


def test_a_primed_optimiser_has_the_state_of_one_that_has_stepped() -> None:
    primed, stepped = (TrainingStep(short("stgcn")) for _ in range(2))

    primed.prime()
    stepped.run()

    shapes = [value.shape for value in stepped.optimiser_state()]
    assert [value.shape for value in primed.optimiser_state()] == shapes
    assert shapes == [parameter.shape for parameter in stepped.model.parameters()]


def test_every_body_of_the_noise_is_present() -> None:
    step = InferenceStep(short("stgcn", clips=3))

    (joints,) = step.inputs()

    assert joints.shape == (3, 3, 16, 25, 2)
    assert bool((joints != 0).flatten(1, 3).any(dim=1).all())


def test_fake_tensors_take_every_precision_and_no_memory() -> None:
    for precision in ("fp32", "bf16", "fp16", "apex-o1", "apex-o2"):
        fake = FakeTensorMode(allow_non_fake_inputs=True)
        step = TrainingStep(short("stgcn", f"precision={precision}"), fake=fake)
        with fake:
            step.run()

        assert all(isinstance(weight, FakeTensor) for weight in step.weights())
        assert all(isinstance(gradient, FakeTensor) for gradient in step.gradients())


@pytest.mark.parametrize("precision", ["fp16", "apex-o1"])
def test_a_processor_does_not_try_what_needs_a_gpu(precision: str) -> None:
    with pytest.raises(NotTriedError, match=f"^precision {precision} needs a GPU$"):
        TrainingStep(short("stgcn", f"precision={precision}"))


def test_an_average_of_the_weights_counts_as_weights() -> None:
    plain, averaged = (
        sum(weight.numel() for weight in TrainingStep(short("stgcn", *settings)).weights())
        for settings in ((), ("training.ema=0.9",))
    )

    assert averaged == 2 * plain


def test_options_that_the_network_does_not_take_are_named() -> None:
    with pytest.raises(NotTriedError, match="option of stgcn 'widht'"):
        InferenceStep(short("stgcn", "model.widht=8"))


def test_inference_keeps_nothing_for_a_backward_pass() -> None:
    step = InferenceStep(short("stgcn", "precision=bf16"))
    saved: list[torch.Tensor] = []

    with torch.autograd.graph.saved_tensors_hooks(lambda x: saved.append(x) or x, lambda x: x):  # type: ignore[func-returns-value]
        step.run()

    assert saved == []
    assert not step.model.training
