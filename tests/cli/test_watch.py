"""The progress of a training run: in a log, each epoch is one line with the time that is left."""

import pytest

from skelab.cli.watch import TrainingBar

RECORD = {
    "epoch": 0,
    "train_loss": 1.25,
    "train_top1": 0.5,
    "validation_loss": 1.5,
    "validation_top1": 0.25,
    "seconds": 12.0,
    "clips_per_second": 1234.5,
}


def test_the_line_of_an_epoch_is_not_folded_in_a_log_and_tells_the_time_left(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    monkeypatch.setattr("skelab.cli.watch.time.perf_counter", lambda: now[0])
    bar = TrainingBar()

    bar.on_start(epochs=4, steps=10, first_epoch=1, first_step=0)
    now[0] += 60.0
    bar.on_epoch({**RECORD, "epoch": 1})
    bar.on_epoch({**RECORD, "epoch": 3})

    first, last = capsys.readouterr().err.splitlines()
    assert first.startswith("epoch  2/4  loss 1.2500  top-1  50.0%")
    assert first.endswith("left 0:02:00")
    assert "left" not in last


def test_the_first_step_of_an_epoch_counts_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr("skelab.cli.watch.time.perf_counter", lambda: now[0])
    bar = TrainingBar()
    bar.on_start(epochs=2, steps=10, first_epoch=0, first_step=0)
    speeds = []

    for epoch in range(2):
        now[0] += 2.0
        bar.on_step(epoch=epoch, step=0, clips=64, loss=1.0)
        speeds.append(bar._display.tasks[0].fields["note"])
        bar.on_epoch({**RECORD, "epoch": epoch})

    assert speeds == ["loss 1.000, 32.0 clips/s"] * 2


def test_stopping_a_run_names_the_way_to_go_on(capsys: pytest.CaptureFixture[str]) -> None:
    bar = TrainingBar()
    bar.on_start(epochs=2, steps=10, first_epoch=0, first_step=0)

    bar.__exit__(KeyboardInterrupt, KeyboardInterrupt(), None)

    assert "with --resume goes on from the last checkpoint" in capsys.readouterr().err
