"""The log of what training draws."""

import json
from pathlib import Path
from typing import Any

import pytest

from skelab.data.feeding import DrawLog, open_draw_log, read_draws
from skelab.errors import DataError, OutputError

DRAWN: dict[str, Any] = {"crop-resize": [(3, 9), (0, 4)], "mirror": [True, False]}


def add(log: DrawLog, *, seed: int = 1, epoch: int = 0, first: int = 5) -> None:
    rows = (first, first - 1)
    log.add(DRAWN, seed=seed, epoch=epoch, rows=rows, names=tuple(f"clip{row}" for row in rows))


def test_a_line_says_of_one_clip_what_one_transform_has_drawn(tmp_path: Path) -> None:
    add(DrawLog(tmp_path / "logs" / "draws.jsonl"), epoch=3)

    lines = (tmp_path / "logs" / "draws.jsonl").read_text().splitlines()

    assert len(lines) == 4
    assert json.loads(lines[0]) == {
        "seed": 1,
        "epoch": 3,
        "row": 5,
        "clip": "clip5",
        "transform": "crop-resize",
        "drawn": [3, 9],
    }
    assert json.loads(lines[3])["clip"] == "clip4"
    assert json.loads(lines[3])["drawn"] is False


def test_what_was_written_is_read_back_in_the_order_of_training(tmp_path: Path) -> None:
    log = DrawLog(tmp_path / "draws.jsonl")
    for epoch, first in ((0, 5), (1, 3), (1, 9)):
        add(log, epoch=epoch, first=first)

    logged = read_draws(log.path, epoch=1)

    assert logged.rows == (3, 2, 9, 8)
    assert (logged.seed, logged.epoch, logged.names[8]) == (1, 1, "clip8")
    assert logged.drawn[9] == {"crop-resize": [3, 9], "mirror": True}


def test_a_run_that_goes_on_removes_the_line_that_it_was_killed_in(tmp_path: Path) -> None:
    path = tmp_path / "draws.jsonl"
    add(DrawLog(path))
    whole = path.read_bytes()
    path.write_bytes(whole[:-20])
    unfinished = read_draws(path, epoch=0).drawn

    add(open_draw_log(path, resume=True), first=8)

    assert list(unfinished[4]) == ["crop-resize"], "the line without an end is passed over"
    assert path.read_bytes()[: len(whole)] != whole
    assert read_draws(path, epoch=0).rows == (5, 4, 8, 7)


@pytest.mark.parametrize("content", [b"", b'{"seed": 1, "ep'])
def test_a_file_without_a_whole_line_is_begun_anew(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "draws.jsonl"
    path.write_bytes(content)

    add(open_draw_log(path, resume=True))

    assert read_draws(path, epoch=0).rows == (5, 4)


def test_clips_that_a_resumed_run_draws_for_again_are_there_once(tmp_path: Path) -> None:
    log = DrawLog(tmp_path / "draws.jsonl")
    for first in (5, 8, 5):
        add(log, first=first)

    assert read_draws(log.path, epoch=0).rows == (5, 4, 8, 7)


def test_a_new_run_does_not_write_into_the_log_of_another(tmp_path: Path) -> None:
    path = tmp_path / "draws.jsonl"
    add(DrawLog(path))

    with pytest.raises(
        DataError, match=r"draws\.jsonl: holds the draws of a run already; --resume"
    ):
        open_draw_log(path, resume=False)


def test_runs_of_several_seeds_are_told_apart(tmp_path: Path) -> None:
    log = DrawLog(tmp_path / "draws.jsonl")
    for seed in (2, 1):
        add(log, seed=seed)

    with pytest.raises(DataError, match="draws of epoch 0, found seeds 1, 2: say which"):
        read_draws(log.path, epoch=0)

    assert read_draws(log.path, epoch=0, seed=2).seed == 2


@pytest.mark.parametrize(("seed", "asked"), [(None, "epoch 7"), (4, "epoch 7 of seed 4")])
def test_an_epoch_that_is_not_there_is_named(tmp_path: Path, seed: int | None, asked: str) -> None:
    log = DrawLog(tmp_path / "draws.jsonl")
    add(log)

    with pytest.raises(DataError, match=f"expected draws of {asked}, found none"):
        read_draws(log.path, epoch=7, seed=seed)


@pytest.mark.parametrize(
    "line", ['{"epoch": 0}', "[1]", "no JSON", '{"seed": "1", "epoch": 0}', "\udcff"]
)
def test_a_line_of_another_kind_is_refused_by_its_number(tmp_path: Path, line: str) -> None:
    log = DrawLog(tmp_path / "draws.jsonl")
    add(log)
    with log.path.open("ab") as file:
        file.write(line.encode(errors="surrogateescape") + b"\n")

    with pytest.raises(DataError, match=r"draws\.jsonl, line 5: expected the JSON line of a draw"):
        read_draws(log.path, epoch=0)


def test_a_file_that_cannot_be_read_or_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none\.jsonl: the draws cannot be read: No such file"):
        read_draws(tmp_path / "none.jsonl", epoch=0)
    with pytest.raises(OutputError, match=str(tmp_path)):
        add(DrawLog(tmp_path))
