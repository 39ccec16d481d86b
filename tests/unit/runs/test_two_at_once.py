"""Two commands that train into one run folder, as real processes."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import tiny_run
from tiny_clips import tiny_store
from tiny_run import tiny_recipe, what_training_computed

from skelab.data.clips.store import open_store
from skelab.errors import TrainingError
from skelab.runs.seeds import train_seeds
from skelab.runs.train import LOCK, train_recipe

TRAINER = """
import sys
from pathlib import Path
import pytest
from tiny_run import enter_tiny_family, tiny_recipe
from skelab.data.clips.store import open_store
from skelab.runs.train import train_recipe
from skelab.training.watch import Watcher

class Waiter(Watcher):
    def on_epoch(self, record):
        print("trained", flush=True)
        sys.stdin.readline()

with pytest.MonkeyPatch.context() as patch:
    enter_tiny_family(patch)
    store = open_store(Path(sys.argv[1]))
    train_recipe(
        tiny_recipe(), store, Path(sys.argv[2]), resume="--resume" in sys.argv, watcher=Waiter()
    )
"""


@contextmanager
def trainer(*words: object) -> Iterator[subprocess.Popen[str]]:
    """Another process that trains, and waits after every epoch for a line."""
    place = str(Path(tiny_run.__file__).parent)
    with subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", TRAINER, *map(str, words)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": f"{place}:{os.environ.get('PYTHONPATH', '')}"},
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "trained\n"
        yield process
        process.kill()


def test_of_two_trainings_the_second_is_refused_and_the_first_ends_as_if_alone(
    tmp_path: Path,
) -> None:
    store = tiny_store(tmp_path / "clips.arrow")
    train_recipe(tiny_recipe(), store, tmp_path / "alone")

    with trainer(store.path, tmp_path / "run") as process:
        for resume in (False, True):
            with pytest.raises(TrainingError) as caught:
                train_recipe(tiny_recipe(), store, tmp_path / "run", resume=resume)
            assert f"run: process {process.pid} on " in str(caught.value)
        process.communicate("\n" * 9)

    assert process.returncode == 0
    assert what_training_computed(tmp_path / "run") == what_training_computed(tmp_path / "alone")
    assert not (tmp_path / "run" / LOCK).exists()


def test_of_two_resumes_the_second_is_refused_and_a_killed_one_leaves_its_place(
    tmp_path: Path,
) -> None:
    store = tiny_store(tmp_path / "clips.arrow")
    run = tmp_path / "run"
    with trainer(store.path, run) as first:
        first.send_signal(signal.SIGKILL)
        first.wait()
    assert (run / LOCK).exists()

    with trainer(store.path, run, "--resume") as second:
        with pytest.raises(TrainingError, match=f"run: process {second.pid} on"):
            train_recipe(tiny_recipe(), store, run, resume=True)
        second.send_signal(signal.SIGKILL)
        second.wait()
    train_recipe(tiny_recipe(), open_store(store.path), run, resume=True)

    assert len(what_training_computed(run)) == 4
    assert not (run / LOCK).exists()


def test_several_seeds_hold_the_folder_of_all(tmp_path: Path) -> None:
    store = tiny_store(tmp_path / "clips.arrow")
    recipe = tiny_recipe(seeds=2)

    with (
        trainer(store.path, tmp_path / "run") as process,
        pytest.raises(TrainingError, match=f"run: process {process.pid} on"),
    ):
        train_seeds(recipe, store, tmp_path / "run", resume=True)
