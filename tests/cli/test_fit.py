"""`skelab fit`."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from cli_outcome import Outcome, SmallSet
from fit_kit import MadeUpDevice

from skelab.cli import output
from skelab.data.clips.clip import Clip, SampleInfo
from skelab.data.clips.store import StoreInfo
from skelab.data.clips.write import write_store
from skelab.fit import answer
from skelab.fit.explore import Question
from skelab.fit.figures import Configuration, Cost
from skelab.recipes import load_recipe
from skelab.skeleton import get_layout
from skelab.training.config import Precision

Skelab = Callable[..., Outcome]
FORMATS = (Precision.FP32, Precision.FP16)


@pytest.fixture
def card(monkeypatch: pytest.MonkeyPatch) -> MadeUpDevice:
    """A made-up card answers whatever is asked."""
    device = MadeUpDevice()

    @contextmanager
    def ask(*words: object, thorough: bool, networks: int) -> Iterator[object]:
        yield Question(device, None, thorough, FORMATS)

    monkeypatch.setattr(answer, "_ask", ask)
    return device


def test_the_answer_comes_first_and_the_table_has_a_row_a_network(
    card: MadeUpDevice, skelab: Skelab
) -> None:
    done = skelab("fit", "ctrgcn", "stgcn", "--vram", "8GB")

    assert done.status == 0
    rows = [line.split() for line in done.out.splitlines()]
    assert any(row[:2] == ["ctrgcn", "comfortable"] for row in rows)
    assert any(row[:2] == ["stgcn", "workable"] for row in rows)
    assert done.out.startswith("Yes: start with ctrgcn, fp16, batch 64; about ")
    assert " for NTU RGB+D 60, 1.6 GiB on disk, 2.1 GiB of GPU memory. " in done.out.splitlines()[0]
    assert max(map(len, done.out.splitlines()[1:8])) <= 80
    assert "recommended: ctrgcn" in done.out


def test_the_recommended_recipe_is_one_that_train_takes(
    card: MadeUpDevice, skelab: Skelab, tmp_path: Path
) -> None:
    card.memory_limit = 2**31
    file = tmp_path / "mine.yaml"

    done = skelab("fit", "ctrgcn", "--recipe-out", file)

    recipe = load_recipe(str(file))
    assert (recipe.precision.value, recipe.memory.micro_batch) == ("fp16", 32)
    assert recipe.training == load_recipe("ctrgcn").training
    assert file.read_text().startswith("# ctrgcn for a made-up card, by skelab fit: workable.")
    assert f"next: skelab train {file}" in done.err


def test_json_has_every_figure(card: MadeUpDevice, skelab: Skelab) -> None:
    done = skelab("fit", "ctrgcn", "--json", "--clips", "640")

    (model,) = done.json["models"]
    assert done.json["schema"] == 1
    assert model["data"]["training_clips"] == 640
    assert model["settings"] == {"precision": "fp16", "activations": "keep", "micro_batch": 64}


def test_the_page_is_whole_and_fetches_nothing(
    card: MadeUpDevice, skelab: Skelab, tmp_path: Path
) -> None:
    page = tmp_path / "fit.html"

    skelab("fit", "ctrgcn", "--thorough", "--html", page)

    html = page.read_text()
    assert html.count("<svg") == 3
    assert "http://" not in html.replace("http://www.w3.org", "")
    assert "Memory by category" in html


def test_a_network_that_fails_is_a_row_and_no_crash(card: MadeUpDevice, skelab: Skelab) -> None:
    card.faults = {"fp32": "the process was killed", "fp16": "the process was killed"}

    done = skelab("fit", "ctrgcn", "--recipe-out", "none.yaml")

    assert "ctrgcn: unknown; the process was killed" in done.out
    assert done.status == 2
    assert "none.yaml: not written, since none of the networks" in done.err
    assert not Path("none.yaml").exists()


def test_ctrl_c_shows_what_was_done(
    card: MadeUpDevice, skelab: Skelab, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = MadeUpDevice.training

    def stop(self: MadeUpDevice, configuration: Configuration) -> Cost:
        if configuration.recipe.name == "msg3d":
            raise KeyboardInterrupt
        return usual(self, configuration)

    monkeypatch.setattr(MadeUpDevice, "training", stop)

    done = skelab("fit", "ctrgcn", "msg3d", "--json")

    assert done.status == 130
    assert [model["model"] for model in done.json["models"]] == ["ctrgcn"]
    assert not done.json["finished"]
    assert "stopped; networks that were done: 1" in done.err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--gpu", "RTX 3066"], "unknown GPU 'RTX 3066'; the nearest known ones: RTX 306"),
        (["--vram", "8"], "expected a unit, GB, GiB, MB or MiB, found none; say 8GB"),
        (["--vram", "9000GB"], "expected 256 MB to 1024 GB"),
        (["ctrgnc"], "unknown model or recipe 'ctrgnc', did you mean 'ctrgcn'"),
        (["--device", "cuda:7"], "--device cuda:7: the driver shows"),
        (["--device", "cpu", "--gpu", "T4"], "--device measures, --gpu and --vram predict"),
        (["--quick", "--thorough"], "--quick and --thorough are opposites"),
        (["none.yaml"], "the recipe cannot be read"),
    ],
)
def test_what_cannot_be_asked_is_refused_in_one_line(
    words: list[str], message: str, skelab: Skelab
) -> None:
    done = skelab("fit", *words)

    assert done.status == 2
    assert message in done.err
    assert done.err.count("\n") == 1


def test_a_recipe_of_a_data_set_that_nobody_knows_asks_for_its_clips(
    skelab: Skelab, tmp_path: Path
) -> None:
    mine = tmp_path / "mine.yaml"
    mine.write_text("extends: ctrgcn\nname: mine\ndata: {split: 'subject:1,2/3'}\n")

    done = skelab("fit", mine, "--vram", "8GB")

    assert done.status == 2
    assert "--clips N says how many clips train" in done.err


def test_ones_own_clips_are_counted(
    card: MadeUpDevice, skelab: Skelab, small_set: SmallSet, tmp_path: Path
) -> None:
    done = skelab("fit", "ctrgcn", "--data", small_set.store, "--json")

    data = done.json["models"][0]["data"]
    assert (data["classes"], data["clips"]) == (3, 48)
    assert 0 < data["training_clips"] < 48
    assert data["disk"] == small_set.store.stat().st_size
    assert data["source"] == "split xsub of clips.arrow"
    assert skelab("fit", "--data", small_set.store, "--clips", 3).status == 2


def test_clips_of_a_layout_of_ones_own_are_fitted_too(skelab: Skelab, tmp_path: Path) -> None:
    layout = replace(get_layout("utd20"), name="mine", source="made up")
    noise = np.random.default_rng(0).normal(0, 1, (6, 1, 8, 20, 3)).astype(np.float32)
    frames = np.arange(8, dtype=np.int32)
    clips = [Clip(SampleInfo(f"c{row}", row % 2), noise[row], frames) for row in range(6)]
    write_store(
        tmp_path / "s.arrow", clips, StoreInfo(layout, "as-given", ("a", "b"), "custom", "metres")
    )

    done = skelab("fit", "stgcn", "--data", tmp_path / "s.arrow", "--vram", "8GB")

    assert done.status == 0, done.err
    assert done.out.startswith("Yes: start with stgcn, ")
    assert " for s.arrow, " in done.out.splitlines()[0]


def test_at_sixty_columns_the_settings_stay(
    card: MadeUpDevice, skelab: Skelab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(output.stdout, "_width", 60)

    done = skelab("fit", "ctrgcn", "stgcn", "--vram", "8GB")

    assert "settings" in done.out
    assert done.out.count("fp16") >= 3


@pytest.mark.slow
def test_this_processor_is_measured_within_a_minute(skelab: Skelab, tmp_path: Path) -> None:
    mine = tmp_path / "mine.yaml"
    mine.write_text("extends: ctrgcn\nname: mine\nmodel: {width: 8}\ndata: {window: 16}\n")
    started = time.monotonic()

    done = skelab("fit", mine, "--device", "cpu", "--quick", "--json")

    assert done.status == 0, done.err
    assert time.monotonic() - started < 70
    (model,) = done.json["models"]
    assert done.json["measured"]
    assert model["verdict"] != "unknown"
    assert model["loading"]["clips_per_second"]["typical"] > 0
    assert done.json["machine"]["speeds"]["gflops"]["typical"] > 0


@pytest.mark.slow
def test_ctrl_c_leaves_no_process_behind() -> None:
    words = ["-c", "from skelab.cli.main import main; main()", "fit", "msg3d", "--device", "cpu"]
    asker = subprocess.Popen(
        [sys.executable, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    workers: list[int] = []
    until = time.monotonic() + 60
    while len(workers) < 1 and time.monotonic() < until:
        workers = children(asker.pid)
        time.sleep(0.2)
    time.sleep(3)
    workers += [each for worker in workers for each in children(worker)]

    asker.send_signal(signal.SIGINT)
    _, said = asker.communicate(timeout=600)

    assert asker.returncode == 130, said
    time.sleep(1)
    assert workers
    assert not [pid for pid in workers if is_alive(pid)]


def children(pid: int) -> list[int]:
    """The processes that a process has started."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                words = (folder / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(words[1]) == pid:
                found.append(int(folder.name))
    return found


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
