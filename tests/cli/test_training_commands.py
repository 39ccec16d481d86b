"""`skelab train`, `evaluate`, `demo` and the lists."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from cli_outcome import SMALL, Outcome, SmallSet

from skelab.cli.main import run as run_command
from skelab.data.clips.store import open_store
from skelab.data.feeding import Feeder, read_draws, replay_draws
from skelab.data.feeding.dataset import pad_clips
from skelab.recipes import load_recipe
from skelab.report import percent

Skelab = Callable[..., Outcome]


def test_a_run_folder_holds_everything_that_the_run_was(small_set: SmallSet) -> None:
    found = {path.name for path in small_set.run.iterdir()}
    records = [
        json.loads(line) for line in (small_set.run / "metrics.jsonl").read_text().splitlines()
    ]
    environment = json.loads((small_set.run / "environment.json").read_text())

    assert {"recipe.yaml", "environment.json", "metrics.jsonl", "tensorboard"} <= found
    assert (small_set.run / "checkpoints" / "best.safetensors").is_file()
    assert [record["epoch"] for record in records] == [0, 1]
    assert all(record["clips_per_second"] > 0 for record in records)
    assert environment["data"]["synthetic"] is True


def test_evaluate_prints_writes_and_labels(
    skelab: Skelab, small_set: SmallSet, tmp_path: Path
) -> None:
    done = skelab("evaluate", small_set.run, "--data", small_set.store, "--out", tmp_path)
    report = (tmp_path / "report.html").read_text()

    assert done.status == 0
    assert "SYNTHETIC" in done.out
    assert "top-1" in done.out
    assert (tmp_path / "scores-test.npz").is_file()
    assert "synthetic" in report.lower()


def test_validation_scores_let_a_temperature_be_fitted(
    skelab: Skelab, small_set: SmallSet, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    shutil.copytree(small_set.run, run)
    skelab("evaluate", run, "--data", small_set.store, "--part", "validation")

    done = skelab("evaluate", run, "--data", small_set.store)
    figures = skelab("evaluate", run, "--data", small_set.store, "--json").json["calibration"]

    said = f"{percent(figures['error'])} at temperature {figures['temperature']:.2f}, fitted on"
    assert said in done.out


def test_a_checkpoint_alone_can_be_evaluated_and_gives_the_same(
    skelab: Skelab, small_set: SmallSet, tmp_path: Path
) -> None:
    lone = tmp_path / "network.safetensors"
    shutil.copy(small_set.run / "checkpoints" / "best.safetensors", lone)

    whole = skelab("evaluate", small_set.run, "--data", small_set.store, "--json").json
    alone = skelab("evaluate", lone, "--data", small_set.store, "--json").json

    assert whole["top1"] == alone["top1"]
    assert whole["confusion"] == alone["confusion"]


def test_a_finished_run_is_not_overwritten(skelab: Skelab, small_set: SmallSet) -> None:
    before = (small_set.run / "metrics.jsonl").read_bytes()

    done = skelab("train", "ctrgcn", "--data", small_set.store, "--out", small_set.run, *SMALL)

    assert done.status == 2
    assert f"{small_set.run}: holds a run already; --resume goes on with it" in done.err
    assert (small_set.run / "metrics.jsonl").read_bytes() == before


def test_a_run_without_a_folder_goes_to_one_that_is_called_as_its_recipe(
    skelab: Skelab, small_set: SmallSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs" / "ctrgcn").mkdir(parents=True)
    shutil.copy(small_set.run / "recipe.yaml", tmp_path / "runs" / "ctrgcn")

    done = skelab("train", "ctrgcn", "--data", small_set.store, *SMALL)

    assert done.status == 2
    assert "runs/ctrgcn: holds a run already" in done.err


def test_train_without_data_says_that_its_clips_are_synthetic(
    skelab: Skelab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("skelab.runs.synthetic.DEFAULT_CLIPS", 24)

    done = skelab("train", "ctrgcn", "--out", tmp_path / "run", *SMALL)

    assert done.status == 0
    assert "SYNTHETIC" in done.out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--set=training.epoch=3"], "unknown key of training 'epoch', did you mean 'epochs'?"),
        (["--set=training.epochs=0"], "training.epochs: "),
        (["--set=training.epochs=many"], "training.epochs: "),
        (["--set=training.epochs"], "expected KEY=VALUE"),
        (["--set=data.split=xsub2"], "unknown split 'xsub2'"),
        (["--set=data.split=subject:1/1"], "is on both sides"),
        (["--set=model.name=ctrgnc"], "unknown model 'ctrgnc', did you mean 'ctrgcn'?"),
        (["--set=model.widht=8"], "unknown option of ctrgcn 'widht', did you mean 'width'?"),
        (["--set=precision=fp8"], "precision: "),
        (["--set=data.validation_subjects=30"], "30 validation subjects were asked for"),
        (["--resume"], "there is no run to resume"),
        (
            ["--set=data.transforms=[flip]"],
            "data.transforms: unknown transform 'flip'. Known: drop",
        ),
        (
            ["--set=data.transforms=[{name: shear, chance: 1}]"],
            "unknown key of data.transforms.0.shear 'chance'. Known: limit, name, probability",
        ),
        (["--set=data.transforms=[mirror, mirror]"], "mirror is listed twice; once is enough"),
        (["--set=data.transforms=[rotate]"], "--set data.rotation=0 leaves it to the list"),
        (["--set=data.transforms=[crop-resize]"], "crop-resize fills the window, which every"),
    ],
)
def test_bad_settings_are_one_line_and_nothing_is_written(
    skelab: Skelab, small_set: SmallSet, tmp_path: Path, words: list[str], message: str
) -> None:
    out = tmp_path / "run"

    done = skelab("train", "ctrgcn", "--data", small_set.store, "--out", out, *words)

    assert done.status == 2
    assert message in done.err.splitlines()[-1]
    assert not out.exists()


def test_a_checkpoint_of_other_data_is_refused_with_what_differs(
    skelab: Skelab, small_set: SmallSet, tmp_path: Path
) -> None:
    skelab("synth", tmp_path / "other", "--clips", 8, "--actions", 2)
    skelab("ingest", tmp_path / "other", tmp_path / "other.arrow", "--workers", 1)

    done = skelab("evaluate", small_set.run, "--data", tmp_path / "other.arrow")

    assert done.status == 2
    assert "was trained on number of classes 3, but" in done.err
    assert done.err.rstrip().endswith("has 2")


@pytest.mark.parametrize("damage", ["truncated", "flipped", "pickle", "missing"])
def test_a_damaged_checkpoint_is_one_line(
    skelab: Skelab, small_set: SmallSet, tmp_path: Path, damage: str
) -> None:
    content = (small_set.run / "checkpoints" / "best.safetensors").read_bytes()
    path = tmp_path / "network.safetensors"
    spoiled = {
        "truncated": content[: len(content) // 2],
        "flipped": content[:-9] + bytes([content[-9] ^ 255]) + content[-8:],
        "pickle": b"\x80\x04cos\nsystem\n(S'echo unsafe'\ntR.",
    }
    if damage in spoiled:
        path.write_bytes(spoiled[damage])

    done = skelab("evaluate", path, "--data", small_set.store)

    assert done.status == 2
    assert str(path) in done.err
    assert "unsafe" not in done.out


def test_families_are_compared_in_the_order_asked_for(skelab: Skelab) -> None:
    by_latency = skelab("models", "--sort", "latency", "--json").json
    by_parameters = skelab("models", "--sort", "parameters", "--json").json
    table = skelab("models", "--sort", "flops")
    unknown = skelab("models", "--sort", "beauty")

    milliseconds = [entry["cost"]["ms"] for entry in by_latency]
    assert milliseconds == sorted(milliseconds)
    counts = [entry["num_parameters"] for entry in by_parameters]
    assert counts == sorted(counts)
    assert table.status == 0
    assert "measured on" in table.out
    assert unknown.status == 2
    assert "unknown key to sort by 'beauty'" in unknown.err


@pytest.mark.parametrize(
    ("command", "known"),
    [
        ("models", {"ctrgcn", "msg3d"}),
        ("recipes", {"ctrgcn", "ctrgcn-utd"}),
        ("layouts", {"ntu25", "kinect20", "utd20", "sbu15", "coco17", "openpose18"}),
    ],
)
def test_lists_name_everything_for_people_and_machines(
    skelab: Skelab, command: str, known: set[str]
) -> None:
    words, machine = skelab(command), skelab(command, "--json")

    assert known <= {entry["name"] for entry in machine.json}
    assert all(name in words.out for name in known)


def test_layouts_map_prints_the_counterparts_for_people_and_machines(skelab: Skelab) -> None:
    words = skelab("layouts", "--map", "ntu25", "sbu15")
    machine = skelab("layouts", "--map", "ntu25", "sbu15", "--json").json
    wrong = skelab("layouts", "--map", "ntu25", "sbu16")

    assert "15 joints of ntu25 have a counterpart in sbu15" in words.out
    assert {"source": "middle of spine", "target": "torso", "same": False} in machine["pairs"]
    assert machine["target_only"] == []
    assert "left thumb" in machine["source_only"]
    assert wrong.status == 2
    assert "unknown layout 'sbu16', did you mean 'sbu15'?" in wrong.err


@pytest.mark.slow
def test_the_demo_ends_with_a_table_and_a_report(skelab: Skelab, tmp_path: Path) -> None:
    done = skelab("demo", "--out", tmp_path, "--set=training.epochs=1", "--set=model.width=8")
    report = Path(done.out.splitlines()[-1].removeprefix("report: "))

    assert done.status == 0
    assert "SYNTHETIC" in done.out
    assert report.is_file()
    assert "synthetic" in report.read_text().lower()
    assert done.out.count("train ctrgcn on NTU RGB+D 60? ") == 2
    assert "Can this machine train it?" in report.read_text()
    assert "early against run: AUC" in done.out
    assert "Early recognition, P1" in report.read_text()


def test_a_run_by_the_papers_protocol_says_that_the_test_part_chose(
    skelab: Skelab, small_set: SmallSet, tmp_path: Path
) -> None:
    options = ["--data", small_set.store, "--out", tmp_path / "run", *SMALL]

    done = skelab("train", "ctrgcn", *options, "--set", "protocol=paper")

    said = " ".join(done.out.split())
    assert "protocol paper: the test part chose the epoch" in said
    assert "validation" not in said


def test_arguments_that_are_swapped_are_recognised(skelab: Skelab, small_set: SmallSet) -> None:
    recording = next(iter(sorted(small_set.skeletons.glob("*.skeleton"))))

    predicted = skelab("predict", recording, small_set.run)
    evaluated = skelab("evaluate", small_set.store, "--data", small_set.run)
    trained = skelab("train", "ctrgcn", "--data", small_set.run)

    assert [done.status for done in (predicted, evaluated, trained)] == [2, 2, 2]
    assert "found clips; the network is named first: skelab predict NETWORK FILE" in predicted.err
    assert "expected a clip store, found a run" in evaluated.err + trained.err


def test_draws_are_logged_and_a_batch_can_be_rebuilt_from_them(
    skelab: Skelab, small_set: SmallSet, tmp_path: Path
) -> None:
    run, log = tmp_path / "run", tmp_path / "draws.jsonl"
    words = ["train", "ctrgcn", "--data", small_set.store, "--log-draws", log, *SMALL]
    words += ["--set=data.transforms=[mirror, {name: noise, std: 0.02}]"]

    trained = skelab(*words, "--out", run)
    refused = skelab(*words, "--out", tmp_path / "another")

    assert trained.status == 0
    logged = read_draws(log, epoch=1)
    store = open_store(small_set.store)
    recipe = load_recipe(str(run / "recipe.yaml"))
    feeder = Feeder(recipe.data.feeder, store.info.layout)
    rows = logged.rows[:8]
    clips = pad_clips([(row, store.clip(row)) for row in rows], max_bodies=2)
    batch = replay_draws(feeder, clips, logged)
    expected = feeder.training_batch(clips, seed=recipe.training.seed, epoch=1)
    assert torch.equal(batch.joints, expected.joints)
    assert refused.status == 2
    assert f"{log}: holds the draws of a run already" in refused.err
    assert not (tmp_path / "another").exists()


OWN = """
name: mine
layout: kinect20
synthetic: true
"""


@pytest.fixture(scope="module")
def own_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of one's own: six subjects, two classes, no parts."""
    folder = tmp_path_factory.mktemp("own")
    rng = np.random.default_rng(0)
    lines = ["name,label,subject"]
    for row in range(24):
        np.save(folder / f"clip{row}.npy", rng.normal(size=(12, 20, 3)) + 3)
        lines.append(f"clip{row},{'ab'[row % 2]},{1 + row // 4}")
    (folder / "clips.csv").write_text("\n".join(lines) + "\n")
    (folder / "dataset.yaml").write_text(OWN)
    store = folder / "own.arrow"
    assert run_command(["ingest", str(folder), str(store), "--no-anatomy-check"]) == 0
    return store


def test_own_clips_are_never_split_as_a_benchmark_and_what_fits_is_said(
    skelab: Skelab, own_store: Path, tmp_path: Path
) -> None:
    trained = skelab("train", "ctrgcn", "--data", own_store, "--out", tmp_path / "run", *SMALL)
    inspected = skelab("inspect", own_store, "--split", "xview")
    converted = skelab("convert", own_store, tmp_path / "a", "--to=ctrgcn", "--split=xsub")

    for done, split, option in (
        (trained, "xsub", "--set data.split="),
        (inspected, "xview", "--split "),
        (converted, "xsub", "--split "),
    ):
        assert done.status == 2
        line = done.err.splitlines()[-1]
        assert f"split {split} is that of NTU RGB+D" in line
        assert line.endswith(f"a data set of your own: expected {option}subject:1-4/5-6")
    assert not (tmp_path / "run").exists()


def test_a_run_says_its_parts_and_an_evaluation_of_another_split_keeps_them(
    skelab: Skelab, own_store: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    words = ["--set=data.split=subject:1-4/5-6", "--set=training.epochs=1"]

    trained = skelab("train", "ctrgcn", "--data", own_store, "--out", out, *SMALL, *words)
    own = skelab("evaluate", out, "--data", own_store)
    kept = {name: (out / name).read_bytes() for name in ("scores-test.npz", "report.html")}
    evaluated = skelab("evaluate", out, "--data", own_store, "--split=subject:1-5/6")
    known = skelab("evaluate", out, "--data", own_store, "--split=subject:5-6/1-4")
    refused = skelab("evaluate", out, "--data", own_store, "--split=xsub")

    line = (
        "split subject:1-4/5-6: train 8 clips (2 subjects) · validation 8 (2) · test 8 (2);"
        " validation has 2 of 2 classes and 50.0% of the training part"
    )
    assert trained.status == 0, trained.err
    assert line in trained.err.splitlines()
    assert line not in trained.out
    assert own.status == evaluated.status == 0, evaluated.err
    assert {name: (out / name).read_bytes() for name in kept} == kept
    assert (out / "scores-test-subject_1-5_6.npz").is_file()
    report = (out / "report-subject_1-5_6.html").read_text()
    assert f"Trained on {line}." in report
    assert known.status == 2
    assert "16 of 16 clips of split subject:5-6/1-4 are among those that the network" in known.err
    assert "Evaluated on split subject:1-5/6, test 4 clips." in report
    assert refused.status == 2
    assert "--split subject:1-4/5-6" in refused.err


def test_data_sets_are_listed_with_their_splits_and_as_json(skelab: Skelab) -> None:
    shown, listed = skelab("datasets"), skelab("datasets", "--json")

    assert shown.status == listed.status == 0
    assert "40,091" in shown.out
    assert "none published" in shown.out
    assert all(card["name"] in shown.out for card in listed.json)
    assert [card["name"] for card in listed.json][:2] == ["ntu120", "ntu60"]
    assert listed.json[1]["splits"][0]["clips"] == [40091, 16487]


def test_a_run_is_scored_under_stress_and_its_report_says_so(
    skelab: Skelab, small_set: SmallSet, tmp_path: Path
) -> None:
    words = ("evaluate", small_set.run, "--data", small_set.store, "--out", tmp_path, "--stress")

    made = skelab(*words)
    as_json = skelab(*words, "--json")

    assert made.status == 0
    assert "mean under stress" in made.out
    assert "swapped bodies: left out, no clip has two bodies" in made.err
    kept = json.loads((tmp_path / "stress-test.json").read_text())
    assert {**kept, "files": {"stress": str(tmp_path / "stress-test.json")}} == as_json.json
    assert "Top-1 under stress" in (tmp_path / "report.html").read_text()


def test_the_quality_of_a_store_is_measured(skelab: Skelab, small_set: SmallSet) -> None:
    made = skelab("inspect", small_set.store, "--quality")
    as_json = skelab("inspect", small_set.store, "--quality", "--json")

    assert made.status == 0
    assert "48 SYNTHETIC clips" in made.out
    assert "bone variation" in made.out
    assert len(as_json.json["clips"]) == 48
