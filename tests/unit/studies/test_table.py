"""The table of a study, from run folders as the lab leaves them."""

import json
from pathlib import Path

import numpy as np
import pytest
from study_kit import finish_run, made_study

from skelab.evaluation import Scores, authors_weights, fit_weights, fuse
from skelab.runs.seeds import mean_over_seeds
from skelab.studies.job import FAILED, Job, Outcome, note_outcome
from skelab.studies.page import render_study
from skelab.studies.table import ALL_FOLDS, make_table, markdown, write_table


def test_a_row_has_the_mean_over_its_seeds_with_students_interval(tmp_path: Path) -> None:
    study = made_study(tmp_path, streams=["joint"], seeds=[1, 2, 3])
    accuracies = [
        finish_run(study, run, noise=10 + place).top(1) for place, run in enumerate(study.runs)
    ]

    (row,) = make_table(study).rows

    expected = mean_over_seeds(accuracies)
    assert row.run is not None
    figure = row.run.figures["top1"]
    assert (figure.value, figure.low) == (expected.mean, max(0.0, expected.low))
    assert (row.done, row.planned, row.remark) == (3, 3, "")
    assert row.run.cost == {"seconds": 60.0, "peak_memory_bytes": 2.0**20}


def test_the_difference_to_the_baseline_is_paired_on_the_same_clips(tmp_path: Path) -> None:
    study = made_study(tmp_path, baseline={"stream": "joint"})
    joint, bone = (
        finish_run(study, run, noise=noise) for run, noise in zip(study.runs, (3, 4), strict=True)
    )

    first, other = make_table(study).rows

    assert first.difference is None
    assert other.difference is not None
    assert other.difference.difference == pytest.approx(bone.top(1) - joint.top(1))
    assert other.difference.low < other.difference.difference < other.difference.high
    assert other.difference.samples == 60


def test_a_run_that_failed_is_a_row_that_says_so(tmp_path: Path) -> None:
    study = made_study(tmp_path)
    finish_run(study, study.runs[0], noise=3)
    failed = study.runs[1].name
    log = study.folder.log(failed)
    job = Job(failed, "ctrgcn", (), Path("s"), "d", study.folder.run(failed), log)
    note_outcome(job, Outcome(failed, FAILED, "the loss is no longer | finite"))

    table = make_table(study)

    assert table.rows[0].remark == ""
    assert table.rows[1].remark == (f"failed: 1 of 1, {failed}: the loss is no longer | finite")
    assert "the loss is no longer \\| finite |" in markdown(table)
    assert "failed: 1 of 1" in render_study(table)


def test_what_is_not_done_yet_is_counted(tmp_path: Path) -> None:
    study = made_study(tmp_path, streams=["joint"], seeds=[1, 2])
    finish_run(study, study.runs[0], noise=3)

    (row,) = make_table(study).rows

    assert row.remark == "1 of 2 done"


@pytest.mark.parametrize("weights", ["equal", "authors", "fitted", [0.25, 0.75]])
def test_streams_are_fused_by_name_with_the_weights_of_the_plan(
    weights: str | list[float], tmp_path: Path
) -> None:
    fusion = {"two": {"streams": ["joint", "bone"], "weights": weights}}
    study = made_study(tmp_path, fuse=fusion)
    made = [
        finish_run(study, run, noise=noise) for run, noise in zip(study.runs, (3, 4), strict=True)
    ]
    used = {
        "equal": (1.0, 1.0),
        "authors": authors_weights(["joint", "bone"]),
    }.get(str(weights), (0.25, 0.75))
    if weights == "fitted":
        folders = [study.folder.run(run.name) for run in study.runs]
        used = fit_weights([Scores.load(f / "scores-validation.npz") for f in folders])

    row = make_table(study).rows[-1]

    assert (row.fusion, row.stream, row.weights) == ("two", "joint+bone", (used,))
    assert row.run is not None
    assert row.run.figures["top1"].value == fuse(made, used).top(1)
    assert row.run.cost["seconds"] == 2 * 60.0


def test_a_fusion_is_made_for_each_value_of_what_it_does_not_list(tmp_path: Path) -> None:
    study = made_study(
        tmp_path,
        settings={"a": ["training.epochs=2"], "b": ["training.epochs=3"]},
        seeds=[1, 2],
        fuse={"two": {"streams": ["joint", "bone"]}},
    )
    for noise, run in enumerate(study.runs):
        if run.name != "made_ctrgcn_bone_xsub_b_seed2":
            finish_run(study, run, noise=noise)

    rows = [row for row in make_table(study).rows if row.fusion]

    assert [(row.setting, row.done, row.planned) for row in rows] == [("a", 2, 2), ("b", 1, 2)]


def test_scores_that_do_not_fit_are_a_remark_and_no_end(tmp_path: Path) -> None:
    study = made_study(tmp_path, fuse={"two": {"streams": ["joint", "bone"]}})
    finish_run(study, study.runs[0], noise=3)
    finish_run(study, study.runs[1], noise=4, first=500)

    row = make_table(study).rows[-1]

    assert row.remark.startswith("failed: 1 of 1, seed 1: not fused: ")
    assert "cover different samples" in row.remark


def test_folds_are_taken_together_clip_by_clip(tmp_path: Path) -> None:
    study = made_study(
        tmp_path,
        splits=["subject:1,3/5", "subject:3,5/1"],
        folds=True,
        baseline={"stream": "joint"},
    )
    made = {
        run.name: finish_run(study, run, noise=place, first=1000 * (place % 2))
        for place, run in enumerate(study.runs)
    }

    rows = make_table(study).rows

    folds = [row for row in rows if row.split == ALL_FOLDS]
    assert [row.stream for row in folds] == ["joint", "bone"]
    for row in folds:
        hits = [
            scores.predictions == scores.labels
            for name, scores in made.items()
            if f"_{row.stream}_" in name
        ]
        assert row.run is not None
        assert row.run.figures["top1"].value == np.concatenate(hits).mean()
        assert len(row.run.scores[0]) == 120
        assert row.run.cost["seconds"] == 120.0
    assert folds[1].difference is not None
    assert folds[1].difference.samples == 120


def test_folds_that_share_clips_are_not_joined(tmp_path: Path) -> None:
    study = made_study(
        tmp_path, streams=["joint"], splits=["subject:1,3/5", "subject:3,5/1"], folds=True
    )
    for place, run in enumerate(study.runs):
        finish_run(study, run, noise=place)

    row = make_table(study).rows[-1]

    assert row.split == ALL_FOLDS
    assert "folds: not joined: " in row.remark


def test_the_table_is_written_as_markdown_and_as_strict_json(tmp_path: Path) -> None:
    study = made_study(tmp_path, baseline={"stream": "joint"}, summary="Which stream?")
    for noise, run in enumerate(study.runs):
        finish_run(study, run, noise=noise)
    table = make_table(study)

    text, data = write_table(table, tmp_path)

    lines = text.read_text(encoding="utf-8").splitlines()
    assert lines[0] == (
        "| stream | top-1 | 95 % | clips | seeds | against the baseline | 95 % of it | p"
        " | minutes | memory |"
    )
    assert lines[2].startswith("| joint | ")
    assert "SYNTHETIC clips, made by a program: they say nothing about people." in lines
    found = json.loads(data.read_text(encoding="utf-8"), parse_constant=pytest.fail)
    assert [row["stream"] for row in found["rows"]] == ["joint", "bone"]
    assert found["synthetic"] is True
    assert found["rows"][1]["difference"]["samples"] == 60


def test_the_page_says_that_clips_are_synthetic_and_fetches_nothing(tmp_path: Path) -> None:
    study = made_study(tmp_path, baseline={"stream": "joint"}, summary="A <b>question</b>")
    for noise, run in enumerate(study.runs):
        finish_run(study, run, noise=noise)

    page = render_study(make_table(study))

    assert "SYNTHETIC DATA" in page
    assert "A &lt;b&gt;question&lt;/b&gt;" in page
    assert "default-src 'none'" in page
    assert "http://" not in page
    assert "https://" not in page


def test_a_table_of_nothing_is_a_table(tmp_path: Path) -> None:
    study = made_study(tmp_path)

    table = make_table(study)

    assert [row.remark for row in table.rows] == ["0 of 1 done", "0 of 1 done"]
    assert "0 of 1 done" in markdown(table)
    assert render_study(table)


def test_damaged_records_are_not_done(tmp_path: Path) -> None:
    study = made_study(tmp_path, streams=["joint"])
    finish_run(study, study.runs[0], noise=3)
    (study.folder.run(study.runs[0].name) / "metrics.jsonl").write_text("{")

    (row,) = make_table(study).rows

    assert row.remark == "0 of 1 done"
