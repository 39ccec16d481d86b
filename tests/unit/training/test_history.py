"""The record of a run: one line an epoch, whole after any stop."""

import errno
import json
from importlib import import_module
from pathlib import Path

import pytest
from torch.utils.tensorboard import SummaryWriter

from skelab.errors import OutputError, TrainingError
from skelab.training.history import History
from skelab.training.records import read_history


def record(epoch: int) -> dict[str, int | float]:
    return {"epoch": epoch, "train_loss": 1.0 / (epoch + 1), "validation_top1": 0.1 * epoch}


def test_each_epoch_is_a_line_of_json(tmp_path: Path) -> None:
    with History(tmp_path, first_epoch=0) as history:
        history.add(record(0))
        history.add(record(1))

    lines = (tmp_path / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == [record(0), record(1)]
    assert read_history(tmp_path) == [record(0), record(1)]


def test_a_record_is_on_disk_as_soon_as_it_is_added(tmp_path: Path) -> None:
    with History(tmp_path, first_epoch=0) as history:
        history.add(record(0))

        assert read_history(tmp_path) == [record(0)]


def test_a_run_without_records_has_an_empty_history(tmp_path: Path) -> None:
    assert read_history(tmp_path) == []


def test_going_on_removes_the_records_of_later_epochs(tmp_path: Path) -> None:
    with History(tmp_path, first_epoch=0) as history:
        for epoch in range(3):
            history.add(record(epoch))

    with History(tmp_path, first_epoch=2) as history:
        kept = read_history(tmp_path)
        history.add(record(2))

    assert kept == [record(0), record(1)]
    assert read_history(tmp_path) == [record(0), record(1), record(2)]


def test_a_record_that_changes_afterwards_is_not_changed_in_the_history(tmp_path: Path) -> None:
    changing = record(0)
    with History(tmp_path, first_epoch=0) as history:
        history.add(changing)
        changing["train_loss"] = 99.0
        history.add(record(1))

    assert read_history(tmp_path)[0] == record(0)


def test_the_same_lies_beside_it_as_a_table(tmp_path: Path) -> None:
    with History(tmp_path, first_epoch=0) as history:
        history.add({"epoch": 0, "train_loss": 0.5})
        history.add(record(1))

    assert (tmp_path / "metrics.csv").read_text() == (
        "epoch,train_loss,validation_top1\n0,0.5,\n1,0.5,0.1\n"
    )


def test_the_table_loses_later_epochs_as_the_records_do(tmp_path: Path) -> None:
    with History(tmp_path, first_epoch=0) as history:
        for epoch in range(3):
            history.add(record(epoch))

    with History(tmp_path, first_epoch=1):
        pass

    assert (tmp_path / "metrics.csv").read_text().splitlines()[1:] == ["0,1.0,0.0"]


def test_tensorboard_is_shown_the_same_numbers(tmp_path: Path) -> None:
    with History(tmp_path, first_epoch=0) as history:
        history.add(record(0))
        history.add(record(1))

    reader = import_module("tensorboard.backend.event_processing.event_accumulator")
    events = reader.EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    shown = {tag: events.Scalars(tag) for tag in events.Tags()["scalars"]}
    assert set(shown) == {"train/loss", "validation/top1"}
    assert [(point.step, point.value) for point in shown["train/loss"]] == [(0, 1.0), (1, 0.5)]


@pytest.mark.parametrize(
    "line",
    ["{", "[]", "5", '{"loss": 1}', '{"epoch": "two"}', '{"epoch": null}', '{"epoch": Infinity}'],
)
def test_a_damaged_line_is_named_by_its_number(tmp_path: Path, line: str) -> None:
    (tmp_path / "metrics.jsonl").write_text(json.dumps(record(0)) + "\n" + line + "\n")

    with pytest.raises(TrainingError, match=r"metrics\.jsonl, line 2: expected the JSON") as caught:
        read_history(tmp_path)

    assert repr(line[:40]) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_records_that_are_no_text_are_refused(tmp_path: Path) -> None:
    (tmp_path / "metrics.jsonl").write_bytes(b"\xff\xfe")

    with pytest.raises(TrainingError, match="the records cannot be read: it is not UTF-8 text"):
        read_history(tmp_path)


def test_a_folder_in_place_of_the_records_is_named(tmp_path: Path) -> None:
    (tmp_path / "metrics.jsonl").mkdir()

    with pytest.raises(TrainingError, match="the records cannot be read: Is a directory"):
        read_history(tmp_path)


def test_a_full_disk_is_named_and_the_records_before_it_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with History(tmp_path, first_epoch=0) as history:
        history.add(record(0))
        monkeypatch.setattr(Path, "write_text", full)
        with pytest.raises(OutputError, match=r"metrics\.jsonl: the disk is full"):
            history.add(record(1))

    assert read_history(tmp_path) == [record(0)]


def test_events_that_cannot_be_written_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with History(tmp_path, first_epoch=0) as history:
        monkeypatch.setattr(SummaryWriter, "flush", full)
        with pytest.raises(OutputError, match="tensorboard: the disk is full"):
            history.add(record(0))


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "tensorboard").write_text("a file")

    with pytest.raises(OutputError, match="tensorboard: cannot be written"):
        History(tmp_path, first_epoch=0)
