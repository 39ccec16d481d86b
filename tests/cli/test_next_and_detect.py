"""`skelab next` and `skelab detect`, from training to figures and page, and what they refuse."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from cli_outcome import Outcome
from shared_data import shared_data
from tiny_clips import tiny_info, tiny_store
from untrimmed_files import tiny_sequence

from skelab.cli.main import run
from skelab.data.clips.sequence import Segment
from skelab.data.clips.write import write_store

Skelab = Callable[..., Outcome]
FEW = [
    *("--set", "training.epochs=1", "--set", "training.batch_size=16", "--set", "model.width=4"),
    *("--set", "data.split=subject:1-3/4", "--set", "data.validation_subjects=1"),
]


@pytest.fixture(scope="module")
def sequences(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of eight short sequences of four people; those of subject 4 have new orders."""
    path = tmp_path_factory.mktemp("sequences") / "s.arrow"
    made = []
    for row in range(8):
        order = (0, 1, 2) if row % 4 < 3 else (2, 0, 1)
        segments = [
            Segment(label, 4 + 12 * place, 14 + 12 * place) for place, label in enumerate(order)
        ]
        made.append(tiny_sequence(row, segments, frames=40, subject=row % 4 + 1))
    write_store(path, made, tiny_info())
    return path


def refused(done: Outcome, message: str) -> None:
    assert (done.status, done.err.count("\n")) == (2, 1)
    assert message in done.err


def test_synth_says_what_can_be_known_at_best(skelab: Skelab, tmp_path: Path) -> None:
    done = skelab("synth", tmp_path / "set", "--sequences", 1)

    assert done.status == 0
    assert "1 SYNTHETIC sequences of 6 actions" in done.out
    assert "the next action, known from the last one at best: top-1 70.0%, log-loss 0.802" in (
        done.out
    )


@pytest.fixture(scope="module")
def detector(sequences: Path) -> Path:
    out = sequences.parent / "detector"
    words = ["train", "stgcn-detection", "--data", str(sequences), "--out", str(out), *FEW]
    assert run([*words, "--set", "training.batch_size=4", "--set", "data.window=16"]) == 0
    return out


def test_the_next_action_stands_beside_the_whole_ladder(
    skelab: Skelab, sequences: Path, detector: Path
) -> None:
    out = sequences.parent / "next"
    horizons = ["--set", "task.horizons=[-5,0]"]

    trained = skelab("train", "stgcn-next", "--data", sequences, "--out", out, *FEW, *horizons)
    plain = skelab("evaluate", out, "--data", sequences, "--json")
    shown = skelab("next", out, "--data", sequences, "--history", "labels")
    told = skelab("next", out, "--data", sequences, "--history", detector, "--json")

    assert (trained.status, plain.status, shown.status, told.status) == (0, 0, 0, 0)
    (block,) = told.json["blocks"]
    assert block["title"] == "unseen people, unseen order"
    assert set(block["guesses"]) == {
        *("majority", "last action", "last action, no repeat"),
        *("two last actions", "history", "history, no repeat"),
    }
    predictors = ("stgcn", "stgcn and recognised history", "recognised history")
    assert block["networks"].keys() == set(predictors)
    assert [set(found) for found in block["networks"].values()] == [{"-5", "+0"}] * 3
    assert block["networks"]["stgcn"]["+0"]["count"] == 4
    assert "SYNTHETIC" in shown.out
    assert "guess: history, no repeat" in shown.out
    assert "no training sequence has this order of actions" in shown.out
    assert json.loads((out / "next-test.json").read_text())["format"] == 1
    assert "Next action: unseen people, unseen order" in (out / "next-test.html").read_text()


def test_detection_prints_its_figures_and_writes_segments_and_page(
    skelab: Skelab, sequences: Path, detector: Path
) -> None:
    shown = skelab("detect", detector, "--data", sequences)
    told = skelab("detect", detector, "--data", sequences, "--json").json
    plain = skelab("evaluate", detector, "--data", sequences, "--json")

    for figure in ("frame accuracy", "edit score", "F1@50", "mAP@0.5", "mean delay"):
        assert figure in shown.out
    assert (shown.status, plain.status, told["sequences"].keys()) == (0, 0, {"seq003", "seq007"})
    assert set(told["map"]) == {f"{share / 10:g}" for share in range(1, 10)}
    assert told["thresholds_chosen"] is True
    assert set(told["thresholds"]) == {"enter", "leave", "memory"}
    assert "Online detection" in (detector / "detection-test.html").read_text()


def test_known_orders_are_called_memory(skelab: Skelab) -> None:
    csv = shared_data("precog", "csv")

    told = skelab("next", csv, "--split", "subject:1,2,4,5,7,8/10,11+script:1,3,5/6", "--json")
    shown = skelab("next", csv, "--split", "subject:1,2,4,5,7,8/10,11")

    titles = [(block["title"], block["memory"]) for block in told.json["blocks"]]
    assert titles == [("unseen people, known order", True), ("unseen people, unseen order", False)]
    assert [block["sequences"] for block in told.json["blocks"]] == [6, 2]
    assert "what is right here is memory, and no anticipation" in shown.out


def test_labels_of_pku_mmd_give_the_ladder_across_subjects_and_a_refusal_across_views(
    skelab: Skelab,
) -> None:
    labels = shared_data("pku-mmd-labels", "V1_Label.zip")

    told = skelab("next", labels, "--split", "pku-xsub", "--json").json["blocks"][0]
    done = skelab("next", labels, "--split", "pku-xview")

    assert told["guesses"]["history"]["count"] == 2572
    assert round(100 * told["guesses"]["last action"]["top5"], 1) == 27.0
    refused(done, "split pku-xview shows the recordings of training from another camera")


def test_a_store_without_segments_is_refused(skelab: Skelab, tmp_path: Path) -> None:
    store = tiny_store(tmp_path / "clips.arrow", 4).path

    for recipe, what in (("stgcn-next", "the next action"), ("stgcn-detection", "detection")):
        done = skelab("train", recipe, "--data", store, "--out", tmp_path / recipe)
        refused(done, f"{what} needs sequences with segments, found 4 clips without")
    refused(
        skelab("next", store, "--split", "subject:1/2"),
        "expected untrimmed recordings with segments, found trimmed clips only",
    )


def test_a_network_that_looks_ahead_is_refused_for_detection(
    skelab: Skelab, sequences: Path, tmp_path: Path
) -> None:
    words = ["train", "stgcn-detection", "--data", sequences, "--out", tmp_path / "run", *FEW]

    done = skelab(*words, "--set", "model.causal=false")

    assert done.status == 2
    assert done.err.splitlines()[-1].startswith(
        "skelab: detection: expected a causal network, which answers without knowing later"
    )


def test_networks_of_other_tasks_are_refused(
    skelab: Skelab, sequences: Path, detector: Path
) -> None:
    refused(
        skelab("next", detector, "--data", sequences),
        "expected a network of the task next-action, found detection; train one with --set",
    )
    refused(
        skelab("next", sequences),
        "--split says which sequences are known and which are asked",
    )


@pytest.mark.slow
def test_a_network_comes_within_three_points_of_the_optimum_of_the_grammar(
    skelab: Skelab, tmp_path: Path
) -> None:
    source, store, out = tmp_path / "set", tmp_path / "s.arrow", tmp_path / "run"
    skelab("synth", source, "--sequences", 120)
    skelab("ingest", source, store, "--workers", 1)
    small = [
        *("--set", "task.horizons=[0]", "--set", "task.observed=60", "--set", "model.width=12"),
        *("--set", "training.epochs=9", "--set", "training.batch_size=16"),
        *("--set", "training.warmup_epochs=1", "--set", "data.validation_subjects=0"),
        *("--set", "data.split=subject:1-6/7,8"),
    ]

    trained = skelab("train", "stgcn-next", "--data", store, "--out", out, *small)
    blocks = skelab("next", out, "--data", store, "--json").json["blocks"]

    best = json.loads((source / "grammar.json").read_text())["best_top1"]
    found = [block["networks"]["stgcn"]["+0"] for block in blocks]
    asked = sum(each["count"] for each in found)
    assert (trained.status, asked) == (0, 180)
    assert sum(each["count"] * each["top1"] for each in found) / asked >= best - 0.03
