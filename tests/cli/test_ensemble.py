"""`skelab ensemble`: files, run folders and the authors' pickles become one answer."""

import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cli_outcome import Outcome
from made_scores import made_scores
from shared_data import shared_data

from skelab.evaluation import Scores, fuse

Skelab = Callable[..., Outcome]


@pytest.fixture
def runs(tmp_path: Path) -> list[Path]:
    """Run folders of two streams, each with scores of its test and validation part."""
    folders = []
    for number, stream in enumerate(("joint", "bone")):
        folder = tmp_path / stream
        for seed, part in enumerate(("test", "validation")):
            scores = made_scores(200, seed=seed, noise_seed=10 * seed + number + 5, part=part)
            scores = replace(scores, info=replace(scores.info, stream=stream))
            scores.save(folder / f"scores-{part}.npz")
        folders.append(folder)
    return folders


def test_the_sum_of_the_streams_is_printed_beside_each(skelab: Skelab, runs: list[Path]) -> None:
    streams = [Scores.load(run / "scores-test.npz") for run in runs]

    done = skelab("ensemble", *runs)

    assert done.status == 0
    assert f"{fuse(streams).top(1):.2%}" in done.out
    for stream in streams:
        assert f"{stream.top(1):.2%}" in done.out
    assert "alone: +" in done.out


@pytest.mark.parametrize(
    ("weights", "expected"), [("equal", [1, 1]), ("authors", [1, 1]), ("0.7,0.3", [0.7, 0.3])]
)
def test_weights_are_those_that_were_asked_for(
    weights: str, expected: list[float], skelab: Skelab, runs: list[Path]
) -> None:
    done = skelab("ensemble", *runs, "--weights", weights, "--json")

    (found,) = done.json
    streams = [Scores.load(run / "scores-test.npz") for run in runs]
    assert [stream["weight"] for stream in found["streams"]] == expected
    assert found["fused"]["top1"] == pytest.approx(fuse(streams, expected).top(1))


def test_fitted_weights_come_from_the_validation_part(skelab: Skelab, runs: list[Path]) -> None:
    scores = Scores.load(runs[1] / "scores-validation.npz")
    replace(scores, logits=np.zeros_like(scores.logits)).save(runs[1] / "scores-validation.npz")

    done = skelab("ensemble", *runs, "--weights", "fitted", "--json")

    weights = [stream["weight"] for stream in done.json[0]["streams"]]
    assert sum(weights) == pytest.approx(1)
    assert weights[0] > 0


def test_the_fused_scores_and_a_report_are_written(
    skelab: Skelab, runs: list[Path], tmp_path: Path
) -> None:
    done = skelab("ensemble", *runs, "--out", tmp_path / "both", "--json")

    fused = Scores.load(tmp_path / "both" / "scores-test.npz")
    assert fused.top(1) == pytest.approx(done.json[0]["fused"]["top1"])
    assert "weights 1, 1" in (tmp_path / "both" / "report.html").read_text()


def test_synthetic_scores_stay_labelled(skelab: Skelab, tmp_path: Path) -> None:
    for number in (1, 2):
        made_scores(noise_seed=number, synthetic=True).save(tmp_path / f"{number}.npz")

    done = skelab("ensemble", tmp_path / "1.npz", tmp_path / "2.npz")

    assert "SYNTHETIC" in done.out


def write_authors(folder: Path, network: str, stream: str, scores: Scores) -> None:
    folder.mkdir(exist_ok=True)
    table = dict(zip(scores.names, scores.logits, strict=True))
    (folder / f"{stream}_result_{network}.pkl").write_bytes(pickle.dumps(table))
    labels = (list(scores.names), scores.labels.tolist())
    (folder / "val_label.pkl").write_bytes(pickle.dumps(labels))


def test_a_folder_of_the_authors_pickles_makes_an_ensemble_of_each_network(
    skelab: Skelab, tmp_path: Path
) -> None:
    folder = tmp_path / "scores"
    for network in ("one", "two"):
        for number, stream in enumerate(("bone", "joint", "joint_motion")):
            write_authors(folder, network, stream, made_scores(noise_seed=number))

    done = skelab("ensemble", folder, "--json")

    titles = {each["ensemble"]: [s["name"] for s in each["streams"]] for each in done.json}
    assert titles == {
        name: [f"{name} joint", f"{name} bone", f"{name} joint-motion"] for name in ("one", "two")
    }
    assert {each["protocol"] for each in done.json} == {"paper"}


def test_the_authors_scores_on_nw_ucla_give_their_published_figures(skelab: Skelab) -> None:
    done = skelab("ensemble", shared_data("scores", "nucla", "123"), "--json")

    (msg3d,) = [each for each in done.json if each["ensemble"] == "msg3d"]
    figures = [*(stream["top1"] for stream in msg3d["streams"]), msg3d["fused"]["top1"]]
    assert [round(100 * figure, 2) for figure in figures] == [90.93, 90.06, 92.66]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--weights", "0.5"], "expected 2 numbers, found 1"),
        (["--weights", "best"], "expected equal, authors, fitted or numbers"),
        (["--weights", "-1,2"], "weight"),
    ],
)
def test_weights_that_do_not_fit_are_refused_in_one_line(
    words: list[str], said: str, skelab: Skelab, runs: list[Path]
) -> None:
    done = skelab("ensemble", *runs, *words)

    assert done.status == 2
    assert said in done.err
    assert done.err.count("\n") == 1


def test_authors_weights_are_for_two_or_four_streams(skelab: Skelab, runs: list[Path]) -> None:
    done = skelab("ensemble", *runs, runs[0] / "scores-validation.npz", "--weights", "authors")

    assert done.status == 2
    assert "found 3" in done.err


@pytest.mark.parametrize(
    ("preset", "weights"),
    [
        ("pyskl", {"joint": 2, "bone": 2, "joint-motion": 1, "bone-motion": 1}),
        ("hypergcn-xview", {"joint": 1, "bone": 1.4, "joint-motion": 1.1, "bone-motion": 0.6}),
        (
            "protogcn",
            {
                "joint": 2,
                "bone": 2,
                "k-bone": 2,
                "joint-motion": 1,
                "bone-motion": 1,
                "k-bone-motion": 1,
            },
        ),
    ],
)
def test_presets_hold_the_weights_of_papers_for_four_and_six_streams(
    preset: str, weights: dict[str, float], skelab: Skelab, tmp_path: Path
) -> None:
    streams = []
    for number, stream in enumerate(weights):
        scores = made_scores(noise_seed=number)
        streams.append(replace(scores, info=replace(scores.info, stream=stream)))
        streams[-1].save(tmp_path / f"{stream}.npz")
    files = sorted(tmp_path.glob("*.npz"))

    done = skelab("ensemble", *files, "--weights", preset, "--json")

    found = [stream["weight"] for stream in done.json[0]["streams"]]
    assert found == [weights[file.stem] for file in files]
    expected = fuse(streams, list(weights.values())).top(1)
    assert done.json[0]["fused"]["top1"] == pytest.approx(expected)


def test_a_preset_refuses_streams_that_its_authors_do_not_fuse(
    skelab: Skelab, runs: list[Path]
) -> None:
    done = skelab("ensemble", *runs, "--weights", "shiftgcn")
    unknown = skelab("ensemble", *runs, "--weights", "stgcm")

    assert (done.status, unknown.status) == (2, 2)
    assert "weights shiftgcn go by stream: expected joint, bone, joint-motion, bone" in done.err
    assert "0.6,0.4, or a preset: authors, ctrgcn, shiftgcn, pyskl" in unknown.err


def test_the_authors_weights_go_by_stream_and_not_by_place(skelab: Skelab, tmp_path: Path) -> None:
    weights = {"joint": 0.6, "bone": 0.6, "joint-motion": 0.4, "bone-motion": 0.4}
    for number, stream in enumerate(weights):
        scores = made_scores(noise_seed=number)
        named = replace(scores, info=replace(scores.info, stream=stream))
        named.save(tmp_path / f"{stream}.npz")
    files = sorted(tmp_path.glob("*.npz"))  # as a shell lists them

    done = skelab("ensemble", *files, "--weights", "authors", "--json")

    found = [stream["weight"] for stream in done.json[0]["streams"]]
    assert found == [weights[file.stem] for file in files]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"protocol": "paper"}, "cannot be fitted under protocol paper"),
        ({"part": "test"}, "cannot be joined: part 'validation' and 'test'"),
        (
            {"checkpoint": "f" * 32},
            "the validation scores are of another checkpoint (ffffffffffff)",
        ),
    ],
)
def test_weights_are_not_fitted_on_test_clips_or_on_another_network(
    change: dict[str, Any], said: str, skelab: Skelab, runs: list[Path]
) -> None:
    scores = Scores.load(runs[1] / "scores-validation.npz")
    replace(scores, info=replace(scores.info, **change)).save(runs[1] / "scores-validation.npz")

    done = skelab("ensemble", *runs, "--weights", "fitted")

    assert done.status == 2
    assert said in done.err
    assert done.err.count("\n") == 1


def test_nothing_is_fitted_without_validation_scores(skelab: Skelab, runs: list[Path]) -> None:
    (runs[1] / "scores-validation.npz").unlink()

    done = skelab("ensemble", *runs, "--weights", "fitted")

    assert done.status == 2
    assert "skelab evaluate RUN --part validation" in done.err


@pytest.mark.parametrize(
    ("change", "said"),
    [({"split": "xview"}, "xview"), ({"part": "validation"}, "part"), ({"dataset": "x"}, "data")],
)
def test_scores_that_do_not_belong_together_are_refused(
    change: dict[str, Any], said: str, skelab: Skelab, tmp_path: Path
) -> None:
    made_scores(part="test").save(tmp_path / "a.npz")
    made_scores(**{"part": "test", **change}).save(tmp_path / "b.npz")

    done = skelab("ensemble", tmp_path / "a.npz", tmp_path / "b.npz")

    assert done.status == 2
    assert said in done.err


def test_what_is_not_there_or_has_no_scores_is_named(skelab: Skelab, tmp_path: Path) -> None:
    missing = skelab("ensemble", tmp_path / "gone.npz")
    empty = skelab("ensemble", tmp_path)

    assert (missing.status, empty.status) == (2, 2)
    assert "gone.npz: expected a score file or a run folder, found nothing" in missing.err
    assert "joint_result_msg3d.pkl, found neither" in empty.err


def test_pickled_scores_without_labels_say_how_to_give_them(skelab: Skelab, tmp_path: Path) -> None:
    write_authors(tmp_path, "one", "joint", made_scores())
    (tmp_path / "val_label.pkl").unlink()

    done = skelab("ensemble", tmp_path / "joint_result_one.pkl")

    assert done.status == 2
    assert "--labels names the file of labels" in done.err


def test_labels_may_come_from_scores_of_ours(skelab: Skelab, tmp_path: Path) -> None:
    scores = made_scores()
    write_authors(tmp_path, "one", "joint", scores)
    (tmp_path / "val_label.pkl").unlink()
    scores.save(tmp_path / "ours.npz")

    pickled = tmp_path / "joint_result_one.pkl"
    done = skelab("ensemble", pickled, "--labels", tmp_path / "ours.npz", "--json")

    assert done.json[0]["fused"]["top1"] == pytest.approx(scores.top(1))


def test_a_pickle_that_would_run_code_is_refused(skelab: Skelab, tmp_path: Path) -> None:
    write_authors(tmp_path, "one", "joint", made_scores())
    (tmp_path / "joint_result_one.pkl").write_bytes(b"cos\nsystem\n(S'true'\ntR.")

    done = skelab("ensemble", tmp_path)

    assert done.status == 2
    assert done.err.count("\n") == 1
