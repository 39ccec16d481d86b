"""`skelab train --from`: what it says, what it records, and what it refuses."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from cli_outcome import SMALL, Outcome, SmallSet

from skelab.inference.checkpoint import read_checkpoint

Skelab = Callable[..., Outcome]
BEST = "checkpoints/best.safetensors"


@pytest.fixture(scope="module")
def other_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Synthetic clips of two classes."""
    from skelab.cli.main import run

    folder = tmp_path_factory.mktemp("other")
    made = ["synth", str(folder / "clips"), "--clips", "24", "--actions", "2", "--seed", "4"]
    assert run(made) == 0
    assert run(["ingest", str(folder / "clips"), str(folder / "c.arrow"), "--workers", "1"]) == 0
    return folder / "c.arrow"


def test_a_run_starts_from_another_one_says_so_and_can_be_evaluated(
    skelab: Skelab, small_set: SmallSet, other_store: Path, tmp_path: Path
) -> None:
    run, words = tmp_path / "run", [*SMALL, "--set=training.epochs=1"]
    freeze = ["--freeze", "^input_norm", "--freeze", "backbone.[0-8]"]

    done = skelab(
        *("train", "ctrgcn", "--data", other_store, "--out", run, "--from", small_set.run),
        *(*freeze, *words, "--verbose"),
    )
    evaluated = skelab("evaluate", run, "--data", other_store)
    inspected = skelab("inspect", run, "--json").json

    assert done.status == 0, done.err
    assert f"from run/{BEST}: " in done.err
    assert "2 fresh (66 numbers: new head)" in done.err
    assert "  fresh          0 of         2  classifier.bias  new head" in done.err
    source, found = (read_checkpoint(folder / BEST) for folder in (small_set.run, run))
    frozen = [key for key in found.weights if key.startswith(("input_norm.", "backbone.0."))]
    assert all(torch.equal(found.weights[key], source.weights[key]) for key in frozen)
    record = json.loads((run / "transfer.json").read_text())
    assert record["from"]["digest"] == source.digest
    assert evaluated.status == 0
    assert (
        "Training began from the weights run/checkpoints/best.safetensors"
        in (run / "report.html").read_text()
    )
    assert inspected["began from"] == f"run/{BEST}"


def test_a_run_that_goes_on_does_not_miss_its_source(
    skelab: Skelab, small_set: SmallSet, other_store: Path, tmp_path: Path
) -> None:
    source = shutil.copytree(small_set.run, tmp_path / "source")
    words = ["train", "ctrgcn", "--data", other_store, "--out", tmp_path / "run", *SMALL]
    first = skelab(*words, "--from", source, "--set=training.epochs=1")
    shutil.rmtree(source)

    again = skelab(*words, "--from", source, "--set=training.epochs=1", "--resume")

    assert first.status == 0, first.err
    assert again.status == 0, again.err
    assert f"{source} is not there any more; the run goes on without it" in again.err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--from", "RUN", "--set=model.name=stgcn"], "weights of a ctrgcn, but the recipe trains"),
        (["--from", "RUN", "--set=model.width=16"], "more; width was 8, is 16"),
        (["--from", "RUN", "--freeze", "backbnoe"], "--freeze backbnoe: matches no parameter"),
        (["--from", "RUN", "--freeze", "*"], "transfer.freeze: '*' is no regular expression"),
        (["--from", "RUN", "--set=transfer.depth_decay=0"], "transfer.depth_decay: "),
        (["--from", "RUN", "--set=transfer.depth=1"], "unknown key of transfer 'depth'"),
        (["--freeze", "backbone"], "--freeze and the settings under transfer are for runs that"),
        (["--from", "NOWHERE"], "there is no checkpoint: expected"),
        (["--from", "TRUNCATED"], "expected a checkpoint, found a damaged or foreign file"),
        (["--from", "UNFINISHED"], "this run has not ended, 1 of its 2 epochs are done"),
        (["--from", "THEIRS"], "`skelab import-weights MODEL FILE OUT` makes a checkpoint"),
        (["--from", "STORE"], "expected a checkpoint, found a damaged or foreign file"),
    ],
)
def test_what_does_not_fit_is_one_line_and_nothing_is_written(
    skelab: Skelab, small_set: SmallSet, tmp_path: Path, words: list[str], message: str
) -> None:
    out = tmp_path / "out"
    places = {"RUN": small_set.run, "STORE": small_set.store}
    for name in ("NOWHERE", "TRUNCATED", "UNFINISHED", "THEIRS"):
        places[name] = tmp_path / name.lower()
    content = (small_set.run / BEST).read_bytes()
    places["TRUNCATED"].write_bytes(content[: len(content) // 2])
    torch.save({"fc.weight": torch.zeros(2, 3)}, places["THEIRS"])
    shutil.copytree(small_set.run, places["UNFINISHED"])
    metrics = places["UNFINISHED"] / "metrics.jsonl"
    metrics.write_text(metrics.read_text().splitlines(keepends=True)[0])

    done = skelab(
        *("train", "ctrgcn", "--data", small_set.store, "--out", out, *SMALL),
        *(str(places.get(word, word)) for word in words),
    )

    assert done.status == 2
    assert message in done.err.splitlines()[-1]
    assert not out.exists()
