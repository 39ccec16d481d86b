"""Early recognition of runs: rows a network, tables a protocol, and scores that are kept."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from second_task import height_task  # noqa: F401
from tiny_clips import tiny_store
from tiny_run import tiny_recipe

from skelab.data.clips.store import ClipStore
from skelab.data.feeding.dataset import pad_clips
from skelab.errors import NetworkError, OutputError, ScoresError, SplitError
from skelab.evaluation import EarlyProtocol, EarlyScores, Scores, compare_areas
from skelab.inference.network import open_network
from skelab.runs.anticipate import anticipate
from skelab.runs.evaluate import evaluate_run
from skelab.runs.train import train_recipe

SETTINGS = {"epochs": 2, "batch_size": 8, "warmup_epochs": 0, "steps": [1], "seed": 3}
SLOW = {**SETTINGS, "learning_rate": 0.001}
CAUSAL: dict[str, Any] = {
    "model": {"name": "stgcn", "width": 4, "causal": True},
    "task": {"name": "early-frames"},
    "data": {"window": 16, "split": "subject:1-3/4", "validation_subjects": 1},
    "training": SETTINGS,
}


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> ClipStore:
    return tiny_store(tmp_path_factory.mktemp("clips") / "clips.arrow")


def trained(clips: ClipStore, run: Path, **changes: Any) -> Path:
    train_recipe(tiny_recipe(**changes), clips, run)
    return run


def test_each_network_has_a_row_and_the_first_is_the_measure(
    clips: ClipStore, tmp_path: Path
) -> None:
    whole = trained(clips, tmp_path / "whole")
    early = trained(clips, tmp_path / "early", task={"name": "early", "oracle": True})

    made = anticipate([whole, early], clips)

    first, second = made.p1
    kept = [EarlyScores.load(run / "early-test.npz") for run in (whole, early)]
    assert (first.name, second.name, first.change) == ("whole", "early", None)
    assert second.change == compare_areas(*kept)
    assert made.p2 == ()
    assert made.notes[0] == "whole: trained on whole clips only: the baseline"
    assert made.notes[1] == "early: task early, with a second loss on whole clips"
    page = (whole / "early-test.html").read_text()
    assert "SYNTHETIC" in page
    assert "Early recognition, P1" in page
    assert "Early recognition, P2" not in page


def test_whole_clips_are_scored_as_evaluate_scores_them(clips: ClipStore, tmp_path: Path) -> None:
    run = trained(clips, tmp_path / "run", task={"name": "early"})

    anticipate(run, clips)
    evaluated = evaluate_run(run, clips).scores

    scores = EarlyScores.load(run / "early-test.npz")
    assert isinstance(evaluated, Scores)
    assert scores.names == evaluated.names
    np.testing.assert_allclose(scores.logits[:, -1], evaluated.logits, rtol=1e-5, atol=1e-6)


def test_a_share_is_scored_as_a_clip_that_ends_there(clips: ClipStore, tmp_path: Path) -> None:
    run = trained(clips, tmp_path / "run")
    network = open_network(run)

    anticipate(run, clips)
    scores = EarlyScores.load(run / "early-test.npz")

    for place, name in enumerate(scores.names):
        clip = clips.clip(clips.index.rows_by_name[name])
        frames = -(-clip.joints.shape[1] * 3 // 10)
        cut = type(clip)(clip.info, clip.joints[:, :frames], clip.frame_numbers[:frames])
        likeliest = network.predict([cut], top=1)[0].label
        assert scores.classes[scores.logits[place, 2].argmax()] == likeliest


def test_the_validation_part_chooses_the_thresholds(clips: ClipStore, tmp_path: Path) -> None:
    run = trained(clips, tmp_path / "run")

    made = anticipate(run, clips)

    assert made.p1[0].evaluation.thresholds_chosen
    assert (run / "early-validation.npz").is_file()


def test_without_a_validation_part_the_thresholds_are_fixed(
    clips: ClipStore, tmp_path: Path
) -> None:
    data = {"window": 8, "split": "subject:1-3/4", "validation_subjects": 0}
    run = trained(clips, tmp_path / "run", data=data)

    made = anticipate(run, clips)

    assert not made.p1[0].evaluation.thresholds_chosen


def test_the_paper_protocol_has_no_clips_to_choose_thresholds_on(
    clips: ClipStore, tmp_path: Path
) -> None:
    run = trained(clips, tmp_path / "run", protocol="paper")

    made = anticipate(run, clips)

    assert not made.p1[0].evaluation.thresholds_chosen


def test_kept_scores_need_no_store_and_say_the_same(clips: ClipStore, tmp_path: Path) -> None:
    run = trained(clips, tmp_path / "run")

    made, again = anticipate(run, clips), anticipate(run)

    assert again.p1 == made.p1
    assert json.loads(again.to_json())["P1"] == json.loads(made.to_json())["P1"]


def test_scores_that_were_never_kept_are_asked_for(clips: ClipStore, tmp_path: Path) -> None:
    run = trained(clips, tmp_path / "run")

    with pytest.raises(ScoresError, match=r"no early scores of its test part .* --data STORE"):
        anticipate(run)


def test_scores_of_earlier_weights_are_not_taken(clips: ClipStore, tmp_path: Path) -> None:
    run, other = (
        trained(clips, tmp_path / "run"),
        trained(clips, tmp_path / "other", task={"name": "early"}),
    )
    anticipate(other, clips)
    (run / "early-test.npz").write_bytes((other / "early-test.npz").read_bytes())

    with pytest.raises(ScoresError, match="no early scores of its test part"):
        anticipate(run)


def test_a_causal_network_has_a_row_under_both_protocols(clips: ClipStore, tmp_path: Path) -> None:
    run = trained(clips, tmp_path / "run", **CAUSAL)

    made = anticipate(run, clips)

    p1, p2 = made.p1[0].evaluation, made.p2[0].evaluation
    assert (p1.protocol, p2.protocol) == (EarlyProtocol.P1, EarlyProtocol.P2)
    assert p1.frame_accuracy is None
    assert p2.frame_accuracy is not None
    assert p1.accuracy[-1] == p2.accuracy[-1]  # both have seen the whole clip
    page = (run / "early-test.html").read_text()
    assert "no measure of one another" in page


def test_p2_reads_the_frames_of_the_resized_clip(clips: ClipStore, tmp_path: Path) -> None:
    run = trained(clips, tmp_path / "run", **CAUSAL)
    network = open_network(run)

    anticipate(run, clips)

    scores = EarlyScores.load(run / "early-frames-test.npz")
    rows = [clips.index.rows_by_name[name] for name in scores.names]
    padded = pad_clips([(row, clips.clip(row)) for row in rows], network.spec.max_bodies)
    joints = network.spec.make_feeder().evaluation_batch(padded).joints
    logits = network.logits(joints)
    assert logits.shape[1] == 16
    np.testing.assert_allclose(scores.logits[:, 4], logits[:, 7], rtol=1e-4, atol=1e-5)
    assert torch.equal(joints, network.spec.make_feeder().evaluation_batch(padded).joints)


def test_a_network_of_another_task_is_refused(
    clips: ClipStore,
    tmp_path: Path,
    height_task: None,  # noqa: F811
) -> None:
    run = trained(clips, tmp_path / "run", task={"name": "height"}, training=SLOW)

    with pytest.raises(NetworkError, match="its task is height; early recognition needs"):
        anticipate(run, clips)


def test_clips_that_trained_are_no_test(clips: ClipStore, tmp_path: Path) -> None:
    run = trained(clips, tmp_path / "run")

    with pytest.raises(SplitError, match="are among those that the network was trained on"):
        anticipate(run, clips, split="subject:4/1-3")


def test_no_network_and_one_given_twice_are_refused(clips: ClipStore, tmp_path: Path) -> None:
    run = trained(clips, tmp_path / "run")

    with pytest.raises(ScoresError, match="expected at least one network, found none"):
        anticipate([], clips)
    with pytest.raises(ScoresError, match=r"run: is given twice; give each network once"):
        anticipate([run, run], clips)


def test_a_file_of_another_kind_is_not_overwritten(clips: ClipStore, tmp_path: Path) -> None:
    run = trained(clips, tmp_path / "run")
    (run / "early-test.npz").write_text("mine")

    with pytest.raises(OutputError, match=r"early-test.npz: expected scores or nothing"):
        anticipate(run, clips)
    assert (run / "early-test.npz").read_text() == "mine"


def test_a_notebook_shows_the_table(clips: ClipStore, tmp_path: Path) -> None:
    run = trained(clips, tmp_path / "<run>")

    shown = anticipate(run, clips)._repr_html_()

    assert "<th>100%</th>" in shown
    assert "&lt;run&gt;" in shown
