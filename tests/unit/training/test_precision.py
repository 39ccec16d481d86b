"""Number formats: who casts and who scales, with a stand-in where Apex itself cannot run.

NVIDIA Apex needs a GPU. The stand-in has its three calls and a loss scaler that doubles; the last
test runs the real one, and is skipped where there is none.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch
from tiny_clips import tiny_store
from tiny_run import same_tensors, tiny_job
from torch import nn

from skelab.errors import TrainingError
from skelab.inference.checkpoint import read_checkpoint
from skelab.training import precision as precision_module
from skelab.training.config import MemoryConfig, Precision
from skelab.training.loop import train
from skelab.training.precision import (
    ApexEngine,
    TorchEngine,
    half_precision,
    make_engine,
    missing_for_apex,
    optimizer_class,
)
from skelab.training.watch import Watcher

NO_GPU = pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")


class StandIn(ModuleType):
    """``apex.amp`` in miniature: a loss scale, and float16 weights with masters at level O2.

    As with Apex, masters are made when gradients are first cleared or a loss is first scaled, from
    weights that are rounded already, and ``zero_grad`` then takes no arguments.
    """

    def __init__(self) -> None:
        super().__init__("apex.amp")
        self.scale = 1024.0
        self.levels: list[str] = []
        self.masters: list[tuple[nn.Parameter, nn.Parameter]] = []
        self.overflows = 0

    def initialize(
        self, model: nn.Module, optimizer: Any, *, opt_level: str, verbosity: int
    ) -> Any:
        assert verbosity == 0
        self.levels.append(opt_level)
        self.masters = []
        self.optimizer = optimizer
        if opt_level == "O2":
            for parameter in model.parameters():
                parameter.data = parameter.data.half().float()  # what O2 computes with
            optimizer.zero_grad = self._zero_grad
        step = optimizer.step

        def step_and_copy() -> None:
            if self.overflows:
                self.overflows -= 1
                return
            step()
            for parameter, master in self.masters:
                if master is not parameter:
                    parameter.data = master.data.half().float()

        optimizer.step = step_and_copy
        return model, optimizer

    @contextmanager
    def scale_loss(self, loss: torch.Tensor, optimizer: Any) -> Iterator[torch.Tensor]:
        self._make_masters()
        before = [master.grad for _, master in self.masters]
        for parameter, master in self.masters:
            parameter.grad = master.grad = None
        yield loss * self.scale
        for (parameter, master), earlier in zip(self.masters, before, strict=True):
            if parameter.grad is not None:
                gradient, parameter.grad = parameter.grad / self.scale, None
                master.grad = gradient if earlier is None else earlier + gradient

    def master_params(self, optimizer: Any) -> Iterator[nn.Parameter]:
        for group in optimizer.param_groups:
            yield from group["params"]

    def state_dict(self) -> dict[str, Any]:
        return {"loss_scaler0": {"loss_scale": self.scale, "unskipped": 3}}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.scale = state["loss_scaler0"]["loss_scale"]

    def _zero_grad(self) -> None:
        self._make_masters()
        for parameter, master in self.masters:
            parameter.grad = master.grad = None

    def _make_masters(self) -> None:
        if self.masters:
            return
        for group in self.optimizer.param_groups:
            for place, parameter in enumerate(group["params"]):
                master = parameter
                if self.levels[-1] == "O2":
                    master = group["params"][place] = nn.Parameter(parameter.detach().clone())
                self.masters.append((parameter, master))


class FusedStandIn(torch.optim.SGD):
    """``apex.optimizers.FusedSGD``: SGD whose ``zero_grad`` takes no arguments."""

    def zero_grad(self) -> None:  # type: ignore[override]
        super().zero_grad()


@pytest.fixture
def amp(monkeypatch: pytest.MonkeyPatch) -> StandIn:
    """The stand-in where Apex is looked for, on a machine that claims a GPU but computes on CPU."""
    amp, apex, optimizers = StandIn(), ModuleType("apex"), ModuleType("apex.optimizers")
    for name, module in (
        ("apex", apex),
        ("apex.amp", amp),
        ("apex.optimizers", optimizers),
        ("amp_C", ModuleType("amp_C")),
    ):
        monkeypatch.setitem(sys.modules, name, module)
    vars(apex)["amp"] = amp
    vars(optimizers)["FusedSGD"] = FusedStandIn
    monkeypatch.setattr(precision_module, "_gpu", lambda: torch.device("cpu"))
    return amp


# PyTorch's own


@NO_GPU
def test_float16_without_a_gpu_is_refused_with_the_way_out() -> None:
    with pytest.raises(TrainingError, match="fp16 needs a GPU, found none; --set precision=bf16"):
        make_engine(Precision.FP16)


@pytest.mark.parametrize(
    ("precision", "computes_in"),
    [(Precision.FP32, torch.float32), (Precision.BF16, torch.bfloat16)],
)
def test_autocast_computes_in_the_format_and_weights_stay_in_float32(
    precision: Precision, computes_in: torch.dtype
) -> None:
    engine = make_engine(precision)
    model = nn.Linear(3, 2)
    engine.prepare(model, torch.optim.SGD(model.parameters(), lr=0.1))

    with engine.autocast():
        outputs = model(torch.ones(4, 3, device=engine.device))
    engine.backward(outputs.float().sum())
    engine.step()

    assert isinstance(engine, TorchEngine)
    assert outputs.dtype is computes_in
    assert {value.dtype for value in engine.weights().values()} == {torch.float32}
    assert engine.state() == {}


# Apex, by its stand-in


@pytest.mark.parametrize("precision", [Precision.APEX_O1, Precision.APEX_O2])
def test_without_apex_its_levels_are_refused_in_one_line_that_says_how_to_get_it(
    precision: Precision, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "apex", None)

    with pytest.raises(TrainingError, match=f"precision {precision.value} needs NVIDIA Apex") as e:
        make_engine(precision)

    said = str(e.value)
    assert "\n" not in said
    assert "there is no package apex" in said
    assert "--set precision=fp16" in said


@pytest.mark.parametrize(
    ("gone", "said"),
    [
        ("apex.amp", "no amp: it was removed after release 25.04"),
        ("amp_C", "built without its CUDA extensions: amp_C is missing"),
    ],
)
def test_what_is_missing_of_apex_is_named(
    gone: str, said: str, amp: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, gone, None)

    assert said in missing_for_apex()


@NO_GPU
def test_apex_without_a_gpu_is_named(amp: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    for name, module in (("apex", ModuleType("apex")), ("apex.amp", amp), ("amp_C", amp)):
        monkeypatch.setitem(sys.modules, name, module)

    assert missing_for_apex() == "there is no GPU"


@pytest.mark.parametrize(
    ("precision", "level"), [(Precision.APEX_O1, "O1"), (Precision.APEX_O2, "O2")]
)
def test_the_levels_of_apex_are_passed_on(precision: Precision, level: str, amp: StandIn) -> None:
    engine = make_engine(precision)
    model = nn.Linear(3, 2)
    engine.prepare(model, torch.optim.SGD(model.parameters(), lr=0.1))

    assert isinstance(engine, ApexEngine)
    assert amp.levels == [level]


@pytest.mark.parametrize("level", ["O1", "O2"])
def test_a_scaled_loss_makes_the_step_of_an_unscaled_one(level: str, amp: StandIn) -> None:
    torch.manual_seed(0)
    model = nn.Linear(3, 2)
    by_hand = nn.Linear(3, 2)
    by_hand.load_state_dict(model.state_dict())
    engine = ApexEngine(level)
    engine.prepare(model, torch.optim.SGD(model.parameters(), lr=0.5))

    with engine.autocast():
        loss = model(torch.ones(4, 3)).sum()
    engine.backward(loss)
    engine.step()

    by_hand(torch.ones(4, 3)).sum().backward()
    torch.optim.SGD(by_hand.parameters(), lr=0.5).step()
    torch.testing.assert_close(dict(engine.weights()), by_hand.state_dict())


def test_the_master_weights_are_what_is_checkpointed(amp: StandIn) -> None:
    model = nn.Linear(3, 2)
    nn.init.constant_(model.weight, 1 / 3)
    engine = ApexEngine("O2")
    engine.prepare(model, torch.optim.SGD(model.parameters(), lr=0.1))

    assert engine.weights()["weight"][0, 0] == torch.tensor(1 / 3)
    assert model.weight[0, 0] != torch.tensor(1 / 3)


def test_frozen_weights_have_no_master_and_are_checkpointed_unrounded(amp: StandIn) -> None:
    model = nn.Linear(3, 2)
    nn.init.constant_(model.weight, 1 / 3)
    model.weight.requires_grad_(False)
    engine = ApexEngine("O2")

    engine.prepare(model, torch.optim.SGD([model.bias], lr=0.1))

    assert engine.weights()["weight"][0, 0] == torch.tensor(1 / 3)
    assert model.weight[0, 0] != torch.tensor(1 / 3)


def test_restored_weights_are_the_masters_bit_for_bit_before_the_first_step(amp: StandIn) -> None:
    model = nn.Linear(3, 2)
    restored = {name: torch.randn_like(value) / 3 for name, value in model.state_dict().items()}
    model.load_state_dict(restored)
    engine = ApexEngine("O2")

    engine.prepare(model, torch.optim.SGD(model.parameters(), lr=0.1))

    assert same_tensors(engine.weights(), restored)


def test_an_overflow_leaves_the_weights_and_the_next_step_counts(amp: StandIn) -> None:
    model = nn.Linear(3, 2)
    engine = ApexEngine("O1")
    engine.prepare(model, torch.optim.SGD(model.parameters(), lr=0.5))
    before = {name: value.clone() for name, value in engine.weights().items()}
    amp.overflows = 1

    for expected in (True, False):
        engine.backward(model(torch.ones(4, 3)).sum())
        engine.step()
        assert same_tensors(engine.weights(), before) is expected


@pytest.mark.parametrize("level", [Precision.APEX_O1, Precision.APEX_O2])
def test_apex_steps_with_its_fused_sgd(
    level: Precision, amp: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = 0

    class Counted(FusedStandIn):
        def step(self, closure: Any = None) -> Any:
            nonlocal steps
            steps += 1
            return super().step(closure)

    monkeypatch.setattr(sys.modules["apex.optimizers"], "FusedSGD", Counted)

    train(tiny_job(tiny_store(tmp_path / "clips.arrow"), tmp_path / "run", precision=level))

    assert optimizer_class(level) is Counted
    assert steps


@pytest.mark.parametrize("missing", [None, ModuleType("apex.optimizers")])
def test_an_apex_without_fused_sgd_steps_with_that_of_pytorch(
    missing: ModuleType | None, amp: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "apex.optimizers", missing)

    assert optimizer_class(Precision.APEX_O1) is torch.optim.SGD


@pytest.mark.parametrize("precision", [Precision.FP32, Precision.BF16, Precision.FP16])
def test_pytorchs_own_formats_step_with_its_own_sgd(precision: Precision, amp: StandIn) -> None:
    assert optimizer_class(precision) is torch.optim.SGD


@pytest.mark.parametrize("level", [Precision.APEX_O1, Precision.APEX_O2])
def test_batches_that_pass_in_parts_train_with_apex(
    level: Precision, amp: StandIn, tmp_path: Path
) -> None:
    store = tiny_store(tmp_path / "clips.arrow")
    model = tiny_job(store, tmp_path).model
    still = replace(model, options={"dropout": 0.0})

    for name, memory in (("whole", MemoryConfig()), ("parts", MemoryConfig(micro_batch=2))):
        job = tiny_job(store, tmp_path / name, precision=level, model=still, memory=memory)
        train(job)

    whole, parts = (
        read_checkpoint(tmp_path / name / "checkpoints" / "best.safetensors")
        for name in ("whole", "parts")
    )
    assert whole.weights.keys() == parts.weights.keys()
    assert all(bool(value.isfinite().all()) for value in parts.weights.values())


def test_apex_in_several_processes_is_refused(
    amp: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(precision_module, "Processes", lambda: SimpleNamespace(count=2))

    with pytest.raises(TrainingError, match="apex-o1 works in one process; for several --set"):
        make_engine(Precision.APEX_O1)


def test_the_loss_scale_is_saved_and_comes_back(amp: StandIn) -> None:
    engine = ApexEngine("O1")
    state = engine.state()
    amp.scale = 2.0

    engine.restore(state)

    assert amp.scale == 1024.0


@pytest.mark.parametrize("level", [Precision.APEX_O1, Precision.APEX_O2])
def test_a_run_with_apex_goes_on_as_if_it_had_not_been_stopped(
    level: Precision, amp: StandIn, tmp_path: Path
) -> None:
    class Stop(Watcher):
        def on_step(self, *, epoch: int, step: int, clips: int, loss: float) -> None:
            if epoch == 2:
                raise KeyboardInterrupt

    store = tiny_store(tmp_path / "clips.arrow")
    train(tiny_job(store, tmp_path / "whole", precision=level))
    with pytest.raises(KeyboardInterrupt):
        train(tiny_job(store, tmp_path / "run", precision=level), watcher=Stop())
    train(tiny_job(store, tmp_path / "run", precision=level), resume=True)

    found, expected = (
        read_checkpoint(max((tmp_path / run / "checkpoints").glob("epoch-*")))
        for run in ("run", "whole")
    )
    assert found.trainer is not None
    assert found.trainer.scaler == amp.state_dict()
    assert same_tensors(found.weights, expected.weights)


# --half


@pytest.mark.parametrize(
    ("gpu", "apex", "expected"),
    [(False, False, "bf16"), (True, False, "fp16"), (True, True, "apex-o1")],
)
def test_half_takes_what_the_machine_has_and_says_why(
    gpu: bool, apex: bool, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpu)
    monkeypatch.setattr(precision_module, "missing_for_apex", lambda: "" if apex else "no apex")

    precision, why = half_precision()

    assert precision.value == expected
    assert why.startswith(f"{expected}, since ")


@NO_GPU
@pytest.mark.parametrize(("processor", "is_slow"), [("AVX2", True), ("AVX512", False)])
def test_half_precision_says_where_a_processor_is_slow_at_it(
    processor: str, is_slow: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: processor)

    _, why = half_precision()

    assert ("fp32 is many times as fast" in why) == is_slow


@pytest.mark.gpu
@pytest.mark.skipif(bool(missing_for_apex()), reason="needs NVIDIA Apex with amp, and a GPU")
@pytest.mark.parametrize("level", [Precision.APEX_O1, Precision.APEX_O2])
def test_apex_itself_trains_and_a_run_that_was_stopped_goes_on(
    level: Precision, tmp_path: Path
) -> None:
    class Stop(Watcher):
        def on_step(self, *, epoch: int, step: int, clips: int, loss: float) -> None:
            if epoch == 2:
                raise KeyboardInterrupt

    store = tiny_store(tmp_path / "clips.arrow")
    whole = train(tiny_job(store, tmp_path / "whole", precision=level))
    with pytest.raises(KeyboardInterrupt):
        train(tiny_job(store, tmp_path / "run", precision=level), watcher=Stop())
    resumed = train(tiny_job(store, tmp_path / "run", precision=level), resume=True)

    assert optimizer_class(level).__name__ == "FusedSGD"
    assert all(value.dtype is not torch.float16 for value in resumed.weights.values())
    for name, value in whole.weights.items():
        torch.testing.assert_close(resumed.weights[name], value, rtol=1e-3, atol=1e-3)
