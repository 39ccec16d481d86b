"""`skelab features`, and side-cars through train, evaluate and predict."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from cli_outcome import Outcome

from skelab.data.clips.store import open_store
from skelab.synthetic.pictured import write_pictured

Skelab = Callable[..., Outcome]
RECIPE = """\
name: fused
model: {name: stgcn, width: 4}
data: {split: "subject:1-6/7-10", window: 16, validation_subjects: 1}
training: {epochs: 1, batch_size: 16, warmup_epochs: 0}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eighty clips, and a file of vectors for each."""
    made = tmp_path_factory.mktemp("pictured")
    store = open_store(write_pictured(made, clips=80))
    (made / "imu").mkdir()
    rng = np.random.default_rng(0)
    for name in store.index.names:
        np.save(made / "imu" / f"{name}.npy", rng.normal(size=(20, 3)))
    (made / "recipe.yaml").write_text(RECIPE)
    return made


def test_side_cars_go_from_files_to_a_table_of_controls(
    skelab: Skelab, folder: Path, tmp_path: Path
) -> None:
    cars, run, store = tmp_path / "imu.arrow", tmp_path / "run", folder / "clips.arrow"

    made = skelab("features", folder / "imu", cars, "--encoder", "file:imu")
    trained = skelab(
        *("train", folder / "recipe.yaml", "--data", store, "--out", run, "--side-car", cars),
        *("--set", "fusion.kind=attend"),
    )
    evaluated = skelab("evaluate", run, "--data", store)
    asked = skelab("evaluate", run, "--data", store, "--json")
    name = open_store(store).index.names[0]
    predicted = skelab("predict", run, store, "--clip", name, "--side-car", cars, "--json").json

    assert made.status == 0, made.err
    assert "80 side-cars, imu 1, 3 numbers a frame" in made.out
    assert trained.status == 0, trained.err
    assert "control skeleton" in trained.err
    assert evaluated.status == 0, evaluated.err
    for word in ("skeleton", "side-car", "shuffled", "across", "removed", "McNemar"):
        assert word in evaluated.out  # a narrow terminal wraps the cells of the table
    assert "for 32 of 32 clips" in " ".join(evaluated.out.split())
    assert asked.status == 0, asked.err
    assert len(asked.json["fusion"]["rows"]) == 6
    assert predicted["predictions"][0]["clip"] == name


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["features", "none", "o.arrow", "--encoder", "file"], "there is no such file or folder"),
        (["features", ".", "o.arrow", "--encoder", "clip"], "unknown encoder 'clip'"),
    ],
)
def test_what_cannot_be_described_is_one_line_and_exit_2(
    skelab: Skelab, words: list[str], message: str
) -> None:
    done = skelab(*words)

    assert done.status == 2
    assert message in done.err
    assert done.err.count("\n") == 1


def test_side_cars_of_other_names_are_one_line_and_exit_2(
    skelab: Skelab, folder: Path, tmp_path: Path
) -> None:
    np.save(tmp_path / "other.npy", np.ones((4, 3)))
    cars = tmp_path / "imu.arrow"
    skelab("features", tmp_path / "other.npy", cars, "--encoder", "file:imu")

    done = skelab(
        *("train", folder / "recipe.yaml", "--data", folder / "clips.arrow"),
        *("--out", tmp_path / "run", "--side-car", cars),
    )

    assert done.status == 2
    assert "none of its 1 side-cars has the name of a clip" in done.err
