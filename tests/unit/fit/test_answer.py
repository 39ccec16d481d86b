"""What is asked of a device, in which order, and what the report makes of it."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from fit_kit import GIB, MadeUpDevice

from skelab.errors import GpuError, ModelError
from skelab.fit import FitStopped, answer, fit
from skelab.fit.answer import choose_device
from skelab.fit.explore import Question
from skelab.fit.figures import Configuration, Cost
from skelab.fit.measure import MeasuredDevice
from skelab.fit.outcome import Settings, Verdict
from skelab.fit.predict import PredictedDevice
from skelab.host.probe import Container, Gpu, probe
from skelab.recipes import load_recipe
from skelab.training.config import Precision

MACHINE = replace(probe(), gpus=(), container=Container())
A_GPU = Gpu("A card", 8 * GIB, 7 * GIB, "8.6", "1")
FORMATS = (Precision.FP32, Precision.FP16, Precision.BF16)


@pytest.fixture
def card(monkeypatch: pytest.MonkeyPatch) -> MadeUpDevice:
    """A made-up card answers whatever is asked."""
    device = MadeUpDevice(clip_seconds=0.01)

    @contextmanager
    def ask(*words: object, thorough: bool, networks: int) -> Iterator[object]:
        yield Question(device, None, thorough, FORMATS)

    monkeypatch.setattr(answer, "_ask", ask)
    return device


def test_a_roomy_card_is_comfortable_and_the_faster_format_is_named(card: MadeUpDevice) -> None:
    report = fit(["ctrgcn"], vram="8GB")

    (model,) = report.models
    assert model.verdict is Verdict.COMFORTABLE
    assert model.settings == Settings("fp16", "keep", 64)
    assert model.recommended_recipe == load_recipe("ctrgcn", ["precision=fp16"])
    assert report.recommended == "ctrgcn"
    assert report.finished


def test_a_narrow_card_gets_settings_whose_parts_are_even(card: MadeUpDevice) -> None:
    card.memory_limit = 3 * GIB

    report = fit(["ctrgcn"], vram="3GB")

    (model,) = report.models
    own, half = model.options
    assert (own.largest_micro_batch, own.micro_batch) == (46, 32)
    assert (half.largest_micro_batch, half.micro_batch) == (64, 64)
    assert model.settings == Settings("fp16", "keep", 64)
    recipe = model.recommended_recipe
    assert recipe is not None
    assert (recipe.precision.value, recipe.memory.micro_batch) == ("fp16", "auto")


def test_activations_are_recomputed_only_where_keeping_them_is_not_enough(
    card: MadeUpDevice,
) -> None:
    card.clip_bytes = GIB

    kept = fit(["ctrgcn"]).models[0].options
    card.memory_limit = 2 * GIB
    pressed = fit(["ctrgcn"]).models[0].options

    assert [(o.precision, o.activations) for o in kept] == [
        ("fp32", "keep"),
        ("fp16", "keep"),
    ]
    assert [(o.precision, o.activations) for o in pressed] == [
        ("fp32", "keep"),
        ("fp16", "keep"),
        ("fp32", "recompute"),
        ("fp16", "recompute"),
    ]


def test_thorough_tries_every_precision_and_policy(card: MadeUpDevice) -> None:
    report = fit(["ctrgcn"], thorough=True)

    tried = [(option.precision, option.activations) for option in report.models[0].options]
    assert tried == [
        *(("fp32", "keep"), ("fp16", "keep"), ("bf16", "keep")),
        *(("fp32", "recompute"), ("fp16", "recompute"), ("bf16", "recompute")),
    ]


def test_epoch_and_full_training_follow_from_the_step(card: MadeUpDevice) -> None:
    (model,) = fit(["ctrgcn"], clips=6_400).models

    own = model.options[0]
    assert own.epoch is not None
    assert own.recipe is not None
    assert own.epoch.typical == pytest.approx(64.0)
    assert own.recipe.typical == pytest.approx(64.0 * 65)
    assert own.clips_per_second is not None
    assert own.clips_per_second.typical == pytest.approx(100.0)


def test_what_cannot_be_tried_is_a_row_with_its_reason(card: MadeUpDevice) -> None:
    card.faults = {"fp32": "the process was killed"}

    report = fit(["ctrgcn", "msg3d"])

    for model in report.models:
        assert model.options[0].note == "the process was killed"
        assert model.verdict is Verdict.WORKABLE
    assert report.finished


def test_where_nothing_could_be_measured_it_predicts_and_says_so(
    card: MadeUpDevice, monkeypatch: pytest.MonkeyPatch
) -> None:
    card.measured = True
    card.faults = {"fp32": "the time ran out", "fp16": "the time ran out"}
    card.faults |= {"bf16": "the time ran out"}
    monkeypatch.setattr(answer, "_predicted_device", lambda *_: MadeUpDevice())

    (model,) = fit(["ctrgcn"]).models

    assert model.verdict is Verdict.COMFORTABLE
    assert model.reason.startswith(
        "predicted, as it could not be measured (the time ran out): as it is, it takes"
    )


def test_a_processor_whose_speed_is_unknown_is_taken_for_an_ordinary_one() -> None:
    with MeasuredDevice("cpu", quick=True, seconds=1, timeout=1, machine=MACHINE) as measured:
        question = Question(measured, MACHINE, False, FORMATS)

        found = answer._predicted_device(question, {})

    assert isinstance(found, PredictedDevice)
    assert found.name == MACHINE.processor
    assert found.roofline.flops == 3e10 * MACHINE.usable_cores


def test_one_and_two_people_are_told_apart(card: MadeUpDevice) -> None:
    card.clip_seconds = 0.05

    use = fit(["ctrgcn"]).models[0].inference

    assert use.one_person is not None
    assert use.two_people is not None
    assert (use.one_person.typical, use.two_people.typical) == (0.025, 0.05)
    assert use.to_dict()["real_time"] == {"one_person": True, "two_people": False}
    assert use.verdict is Verdict.WORKABLE


def test_ctrl_c_leaves_what_was_done(card: MadeUpDevice, monkeypatch: pytest.MonkeyPatch) -> None:
    usual = MadeUpDevice.training

    def stop(self: MadeUpDevice, configuration: Configuration) -> Cost:
        if configuration.recipe.name == "msg3d":
            raise KeyboardInterrupt
        return usual(self, configuration)

    monkeypatch.setattr(MadeUpDevice, "training", stop)

    with pytest.raises(FitStopped) as stopped:
        fit(["ctrgcn", "msg3d"])

    report = stopped.value.report
    assert [model.model for model in report.models] == ["ctrgcn"]
    assert not report.finished


def test_the_report_is_json_and_names_its_schema(card: MadeUpDevice) -> None:
    content = json.loads(json.dumps(fit(["ctrgcn"]).to_dict()))

    assert content["schema"] == 1
    assert content["models"][0]["verdict"] == "comfortable"
    assert content["models"][0]["options"][0]["memory"]["total"] > 0
    assert content["recipe"]["name"] == "ctrgcn"


def test_a_wrong_name_is_refused_before_anything_is_tried(card: MadeUpDevice) -> None:
    with pytest.raises(ModelError, match="did you mean 'ctrgcn'"):
        fit(["msg3d", "ctrgnc"])

    assert card.asked == []


def test_auto_takes_a_gpu_where_there_is_one() -> None:
    with_gpu = replace(MACHINE, gpus=(A_GPU,))

    assert choose_device("auto", MACHINE) == "cpu"
    assert choose_device("auto", with_gpu) == "cuda:0"
    assert choose_device("cuda", with_gpu) == "cuda:0"
    assert choose_device("cpu", with_gpu) == "cpu"


@pytest.mark.parametrize(
    ("device", "message"),
    [
        ("cuda:0", "the driver shows 0 GPUs on this machine; --device cpu measures"),
        ("tpu", "expected auto, cpu, cuda or a number as in cuda:0"),
        ("cuda:x", "expected auto, cpu, cuda"),
    ],
)
def test_a_device_that_is_not_there_is_refused(device: str, message: str) -> None:
    with pytest.raises(GpuError, match=message):
        choose_device(device, MACHINE)


def test_a_card_is_predicted_without_one(tmp_path: Path) -> None:
    small = tmp_path / "small.yaml"
    small.write_text("extends: ctrgcn\nname: small\nmodel: {width: 8}\ndata: {window: 8}\n")

    report = fit([str(small)], gpu="RTX 3060", vram="8GB")

    assert not report.measured
    assert report.machine == {}
    assert report.models[0].verdict is Verdict.COMFORTABLE
    assert report.device["memory_limit"] == 8 * GIB
