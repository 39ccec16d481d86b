"""A recipe carried out: the run folder, its refusals, and who trains whom."""

import json
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
import yaml
from tiny_clips import CLASSES, SBU15, tiny_clip, tiny_info, tiny_store
from tiny_run import CONFIG, FEEDER, tiny_recipe, what_training_computed

import skelab.runs.plan
from skelab.data.clips.clip import Clip
from skelab.data.clips.store import ClipStore, open_store
from skelab.data.clips.write import write_store
from skelab.data.feeding import DrawLog, open_draw_log, read_draws
from skelab.errors import DataError, ModelError, SkelabError, SplitError, TrainingError
from skelab.host.environment import describe_environment
from skelab.inference.checkpoint import read_checkpoint
from skelab.recipes import Recipe, parse_recipe
from skelab.runs.parts import choose_parts, draw_held_out
from skelab.runs.plan import plan_training
from skelab.runs.train import train_recipe
from skelab.skeleton import get_layout
from skelab.tasks import TaskSpec
from skelab.training.records import read_history
from skelab.training.watch import Watcher


@pytest.fixture
def store(tmp_path: Path) -> ClipStore:
    return tiny_store(tmp_path / "clips.arrow")


def store_of(folder: Path, clips: list[Clip], **info: Any) -> ClipStore:
    write_store(folder / "other.arrow", clips, tiny_info(**info))
    return open_store(folder / "other.arrow")


def short(**changes: Any) -> Recipe:
    """One epoch of the tiny recipe."""
    config = CONFIG.model_copy(update={"epochs": 1})
    return tiny_recipe(training=config.model_dump(), **changes)


class StoppedError(Exception):
    """Raised by a watcher to end a run."""


class Stopper(Watcher):
    """Ends a run in its first epoch, or after it."""

    def __init__(self, *, in_epoch: bool = False) -> None:
        self.in_epoch = in_epoch

    def on_step(self, *, epoch: int, step: int, clips: int, loss: float) -> None:
        if self.in_epoch:
            raise StoppedError

    def on_epoch(self, record: Mapping[str, int | float]) -> None:
        raise StoppedError


def refusal(error: type[SkelabError], *arguments: Any, **options: Any) -> str:
    with pytest.raises(error) as caught:
        train_recipe(*arguments, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# The run folder


def test_a_run_folder_holds_all_that_a_result_was_made_with(
    store: ClipStore, tmp_path: Path
) -> None:
    run, recipe = tmp_path / "run", short()

    checkpoint = train_recipe(recipe, store, run)

    assert {path.name for path in run.iterdir()} == {
        "checkpoints",
        "environment.json",
        "metrics.csv",
        "metrics.jsonl",
        "recipe.yaml",
        "tensorboard",
    }
    recipe = draw_held_out(recipe, store)
    assert parse_recipe((run / "recipe.yaml").read_text()) == recipe
    assert checkpoint.digest == read_checkpoint(run / "checkpoints" / "best.safetensors").digest
    assert parse_recipe(checkpoint.recipe) == recipe
    assert checkpoint.protocol == "honest"


def test_the_environment_says_what_was_trained_with_and_on(
    store: ClipStore, tmp_path: Path
) -> None:
    run = tmp_path / "run"

    train_recipe(short(), store, run)

    written = json.loads((run / "environment.json").read_text())
    assert set(written) == {*describe_environment(), "data"}
    assert written["data"] == {
        "dataset": "made-up",
        "classes": 3,
        "pipeline": "ctrgcn",
        "units": "metres",
        "digest": store.info.digest,
        "synthetic": True,
    }


def test_a_checkpoint_says_what_its_network_must_be_shown(store: ClipStore, tmp_path: Path) -> None:
    checkpoint = train_recipe(short(), store, tmp_path / "run")

    inputs, model = checkpoint.inputs, checkpoint.model
    assert (inputs.pipeline, inputs.units, inputs.dataset) == ("ctrgcn", "metres", "made-up")
    assert (inputs.classes, inputs.feeder) == (CLASSES, FEEDER)
    assert (inputs.digest, inputs.synthetic) == (store.info.digest, True)
    assert (model.name, model.num_classes, model.layout) == ("tiny", 3, SBU15)
    assert (model.in_channels, model.max_bodies) == (3, 2)
    assert model.options == {"dropout": 0.5, "skip_absent": True}


class Listener(Watcher):
    """Keeps what a run says."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def on_message(self, text: str) -> None:
        self.said.append(text)


def test_a_run_says_its_parts_before_the_first_epoch_and_warns(
    store: ClipStore, tmp_path: Path
) -> None:
    listener = Listener()

    train_recipe(
        short(data={"split": "subject:1-3/4", "validation_subjects": 2, "window": 8}),
        store,
        tmp_path / "run",
        watcher=listener,
    )

    assert listener.said[:2] == [
        "split subject:1-3/4: train 6 clips (1 subject) · validation 12 (2) · test 6 (1);"
        " validation has 3 of 3 classes and 66.7% of the training part",
        "warning: validation takes 12 clips and leaves 6 to train on; --set"
        " data.validation_subjects=N holds out fewer",
    ]


def of_an_older_release(run: Path) -> None:
    """Make a run what it would be if ``data.held_out`` had not been there."""
    for path in (run / "checkpoints").glob("*.safetensors"):
        checkpoint = read_checkpoint(path)
        replace(checkpoint, recipe=without_held_out(checkpoint.recipe)).save(path)
    written = run / "recipe.yaml"
    written.write_text(without_held_out(written.read_text()))


def without_held_out(recipe: str) -> str:
    content = yaml.safe_load(recipe)
    del content["data"]["held_out"]
    return yaml.safe_dump(content, sort_keys=False, width=100)


def test_a_run_of_an_older_release_goes_on_with_those_whom_its_seed_drew(
    store: ClipStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "run"
    with monkeypatch.context() as patch:
        patch.setattr(skelab.runs.plan, "settle_parts", lambda recipe, store: recipe)
        with pytest.raises(StoppedError):
            train_recipe(tiny_recipe(), store, run, watcher=Stopper())
    of_an_older_release(run)
    before = (run / "recipe.yaml").read_bytes()

    resumed = train_recipe(tiny_recipe(), store, run, resume=True)

    assert (run / "recipe.yaml").read_bytes() == before
    assert resumed.recipe.encode() == before
    parts = choose_parts(parse_recipe(resumed.recipe), store)
    assert parts.validation.tolist() == choose_parts(tiny_recipe(), store).validation.tolist()


def test_the_split_of_another_data_set_is_refused_before_anything_is_written(
    tmp_path: Path,
) -> None:
    clips = [tiny_clip(row, label=row % 3) for row in range(12)]
    store = store_of(tmp_path, clips, dataset="utd-mhad")

    message = refusal(
        SplitError, short(data={"split": "xsub", "window": 8}), store, tmp_path / "run"
    )

    assert "split xsub is that of NTU RGB+D 120 and NTU RGB+D 60" in message
    assert "expected --set data.split=utd or --set data.split=subject:1-2/3-4" in message
    assert not (tmp_path / "run").exists()


def test_a_run_that_was_stopped_goes_on(store: ClipStore, tmp_path: Path) -> None:
    train_recipe(tiny_recipe(), store, tmp_path / "whole")
    for in_epoch in (True, False):
        run = tmp_path / f"stopped {in_epoch}"
        with pytest.raises(StoppedError):
            train_recipe(tiny_recipe(), store, run, watcher=Stopper(in_epoch=in_epoch))
        environment = (run / "environment.json").read_bytes()

        resumed = train_recipe(tiny_recipe(), store, run, resume=True)

        whole = read_checkpoint(tmp_path / "whole" / "checkpoints" / "best.safetensors")
        assert resumed.digest == whole.digest
        assert what_training_computed(run) == what_training_computed(tmp_path / "whole")
        assert (run / "environment.json").read_bytes() == environment


@pytest.mark.parametrize("in_epoch", [True, False])
def test_a_folder_with_a_run_is_not_trained_over(
    in_epoch: bool, store: ClipStore, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    with pytest.raises(StoppedError):
        train_recipe(short(), store, run, watcher=Stopper(in_epoch=in_epoch))
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}

    message = refusal(TrainingError, short(), store, run)

    assert message == (
        f"{run}: holds a run already; --resume goes on with it, another --out starts a new one"
    )
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before


def test_resuming_where_there_is_no_run_is_refused(store: ClipStore, tmp_path: Path) -> None:
    run = tmp_path / "run"

    message = refusal(TrainingError, short(), store, run, resume=True)

    assert message == f"{run}: there is no run to resume; start it without --resume"
    assert not run.exists()


@pytest.mark.parametrize("in_epoch", [True, False])
def test_resuming_with_another_recipe_is_refused_and_keeps_the_one_that_is_there(
    in_epoch: bool, store: ClipStore, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    with pytest.raises(StoppedError):
        train_recipe(short(), store, run, watcher=Stopper(in_epoch=in_epoch))

    message = refusal(TrainingError, tiny_recipe(), store, run, resume=True)

    assert message.startswith(f"{run}: the run was started with another recipe, see {run}/recipe.y")
    assert parse_recipe((run / "recipe.yaml").read_text()) == draw_held_out(short(), store)


def test_a_run_whose_recipe_lacks_keys_that_came_later_goes_on(
    store: ClipStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def without_transforms(recipe: Recipe) -> str:
        content = recipe.model_dump(mode="json")
        del content["data"]["transforms"]
        return yaml.safe_dump(content, sort_keys=False, width=100)

    whole = train_recipe(tiny_recipe(), store, tmp_path / "whole")
    run = tmp_path / "older"
    with monkeypatch.context() as older:
        older.setattr(Recipe, "to_yaml", without_transforms)
        with pytest.raises(StoppedError):
            train_recipe(tiny_recipe(), store, run, watcher=Stopper())
    before = (run / "recipe.yaml").read_bytes()

    resumed = train_recipe(tiny_recipe(), store, run, resume=True)

    assert (run / "recipe.yaml").read_bytes() == before
    assert b"transforms" not in before
    assert resumed.recipe.encode() == before
    assert resumed.weights.keys() == whole.weights.keys()
    assert all(torch.equal(resumed.weights[name], whole.weights[name]) for name in whole.weights)


def test_a_run_whose_recipe_is_damaged_is_not_gone_on_with(
    store: ClipStore, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    with pytest.raises(StoppedError):
        train_recipe(short(), store, run, watcher=Stopper(in_epoch=True))
    (run / "recipe.yaml").write_text("name: [")

    message = refusal(TrainingError, short(), store, run, resume=True)

    assert message.startswith(f"{run}: the run was started with another recipe")


def test_a_run_that_goes_on_goes_on_with_its_log_of_draws(store: ClipStore, tmp_path: Path) -> None:
    data = {**tiny_recipe().data.model_dump(mode="json"), "transforms": ["mirror", "noise"]}
    recipe = tiny_recipe(data=data)
    logs = {name: tmp_path / f"{name}.jsonl" for name in ("whole", "stopped")}
    train_recipe(recipe, store, tmp_path / "whole", draw_log=DrawLog(logs["whole"]))
    log, stopper = DrawLog(logs["stopped"]), Stopper(in_epoch=True)
    with pytest.raises(StoppedError):
        train_recipe(recipe, store, tmp_path / "stopped", watcher=stopper, draw_log=log)

    log = open_draw_log(logs["stopped"], resume=True)
    train_recipe(recipe, store, tmp_path / "stopped", resume=True, draw_log=log)

    epochs = range(recipe.training.epochs)
    whole, stopped = ([read_draws(path, epoch=epoch) for epoch in epochs] for path in logs.values())
    assert [epoch.drawn for epoch in whole] == [epoch.drawn for epoch in stopped]
    assert [epoch.rows for epoch in whole] == [epoch.rows for epoch in stopped]
    assert {len(epoch.rows) for epoch in whole} == {len(whole[0].rows)}
    assert list(whole[0].drawn[whole[0].rows[0]]) == ["crop-resize", "rotate", "mirror", "noise"]


def test_resuming_on_other_clips_is_refused(store: ClipStore, tmp_path: Path) -> None:
    run = tmp_path / "run"
    other = store_of(tmp_path, [tiny_clip(row, label=row % 3) for row in range(23)])
    with pytest.raises(StoppedError):
        train_recipe(short(), store, run, watcher=Stopper())

    message = refusal(TrainingError, short(), other, run, resume=True)

    assert "the run was started with another recipe or other data" in message


# Runs that were started before there were tasks

OLD_RUN = Path(__file__).parents[2] / "golden" / "run_before_tasks"
"""A run with an average of the weights, killed in the third step of its second epoch."""


def old_recipe(**training: Any) -> Recipe:
    changes = {"checkpoint_minutes": 0.0, "ema": 0.9, **training}
    return tiny_recipe(training={**CONFIG.model_dump(), **changes})


@pytest.fixture
def old_run(tmp_path: Path) -> Path:
    return Path(shutil.copytree(OLD_RUN, tmp_path / "old"))


def test_a_run_of_before_goes_on_and_ends_like_one_of_today(
    store: ClipStore, tmp_path: Path, old_run: Path
) -> None:
    text = (old_run / "recipe.yaml").read_text()
    validation = choose_parts(parse_recipe(text), store).validation
    people = tuple(np.unique(store.index.subjects[validation]).tolist())
    data = old_recipe().data.model_copy(update={"held_out": people})
    train_recipe(old_recipe().model_copy(update={"data": data}), store, tmp_path / "whole")

    resumed = train_recipe(old_recipe(), store, old_run, resume=True)

    whole = read_checkpoint(tmp_path / "whole" / "checkpoints" / "best.safetensors")
    assert resumed.epoch == whole.epoch
    torch.testing.assert_close(dict(resumed.weights), dict(whole.weights))
    assert (resumed.recipe, (old_run / "recipe.yaml").read_text()) == (text, text)
    assert len(what_training_computed(old_run)) == 4
    for found, expected in zip(
        what_training_computed(old_run), what_training_computed(tmp_path / "whole"), strict=True
    ):
        assert found == pytest.approx(expected)


def test_a_checkpoint_of_before_is_of_classification_and_its_correct_clips_are_its_top1(
    old_run: Path,
) -> None:
    checkpoint = read_checkpoint(old_run / "checkpoints" / "epoch-0001-step-000002.safetensors")

    assert checkpoint.task == TaskSpec("classification", {})
    assert checkpoint.trainer is not None
    assert set(checkpoint.trainer.totals.sums) == {"top1"}
    assert 0 <= checkpoint.trainer.totals.sums["top1"] <= checkpoint.trainer.totals.clips == 8
    assert checkpoint.trainer.best_epoch == 0
    assert checkpoint.build().classifier.out_features == 3  # type: ignore[union-attr]


def test_a_run_of_before_does_not_go_on_with_another_recipe(
    store: ClipStore, old_run: Path
) -> None:
    for recipe in (old_recipe(clip_norm=1.0), old_recipe(seed=4)):
        message = refusal(TrainingError, recipe, store, old_run, resume=True)

        assert "the run was started with another recipe" in message


# What cannot be trained


@pytest.mark.parametrize(
    ("recipe", "error", "message"),
    [
        (
            short(data={"split": "subject:7/8", "window": 8}),
            SplitError,
            "split subject:7/8: no clip for the training part, expected a subject of 7, found 1, 2",
        ),
        (
            short(data={"split": "subject:1-3/4", "validation_subjects": 3, "window": 8}),
            SplitError,
            "3 validation subjects were asked for, but the training part has only 3",
        ),
        (short(model={"name": "tinny"}), ModelError, "unknown model 'tinny', did you mean 'tiny'?"),
        (
            short(model={"name": "tiny", "width": 3}),
            ModelError,
            "unknown option of tiny 'width'",
        ),
        (
            tiny_recipe(training={**CONFIG.model_dump(), "groups": [{"pattern": "^heads"}]}),
            TrainingError,
            "training.groups, pattern '^heads': matches no parameter name; names of the network",
        ),
        (short(precision="apex-o1"), TrainingError, "precision apex-o1 needs NVIDIA Apex with amp"),
    ],
    ids=["split", "validation", "model", "option", "group", "precision"],
)
def test_what_cannot_be_trained_is_refused_before_anything_is_written(
    recipe: Recipe, error: type[SkelabError], message: str, store: ClipStore, tmp_path: Path
) -> None:
    found = refusal(error, recipe, store, tmp_path / "run")

    assert found.startswith(message)
    assert not (tmp_path / "run").exists()


def test_clips_without_a_label_are_counted_and_the_first_is_named(tmp_path: Path) -> None:
    labels = [0, None, 1, None, 2]
    clips = [tiny_clip(row, label=label) for row, label in enumerate(labels)]
    store = store_of(tmp_path, clips)

    message = refusal(TrainingError, short(), store, tmp_path / "run")

    assert "2 clips have no label, the first is 'clip001'; training needs one for each" in message


def test_a_label_that_is_no_class_is_refused(tmp_path: Path) -> None:
    store = store_of(tmp_path, [tiny_clip(row, label=row % 4) for row in range(8)])

    message = refusal(TrainingError, short(), store, tmp_path / "run")

    assert "expected labels below 3, the number of classes, found 3" in message


def test_flat_skeletons_cannot_be_turned(tmp_path: Path) -> None:
    coco = get_layout("coco17")
    clips = [tiny_clip(row, layout=coco, label=row % 3) for row in range(8)]
    store = store_of(tmp_path, clips, layout=coco)

    message = refusal(DataError, short(), store, tmp_path / "run")

    assert "--set data.rotation=0 turns it off" in message


# The plan


def test_planning_writes_nothing_and_draws_nothing(store: ClipStore, tmp_path: Path) -> None:
    torch.manual_seed(0)
    before = torch.get_rng_state()

    job = plan_training(short(), store, tmp_path / "run")

    assert not job.run.exists()
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(("asked", "expected"), [(None, 2), (1, 1), (3, 3)])
def test_bodies_are_as_many_as_the_store_has_unless_the_recipe_says_so(
    asked: int | None, expected: int, store: ClipStore, tmp_path: Path
) -> None:
    data = {**tiny_recipe().data.model_dump(), "max_bodies": asked}

    job = plan_training(short(data=data), store, tmp_path / "run")

    assert job.model.max_bodies == expected


def test_a_store_of_single_bodies_makes_a_network_for_one(tmp_path: Path) -> None:
    clips = [tiny_clip(2 * row, label=row % 3) for row in range(8)]
    assert all(clip.num_bodies == 1 for clip in clips)
    data = {"split": "subject:1/3", "window": 8}

    job = plan_training(short(data=data), store_of(tmp_path, clips), tmp_path / "run")

    assert job.model.max_bodies == 1


def test_a_run_with_little_shared_memory_reads_with_fewer_workers_and_its_watcher_is_told(
    store: ClipStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Listener(Watcher):
        said: ClassVar[list[str]] = []

        def on_message(self, text: str) -> None:
            self.said.append(text)

    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=0))
    data = {**tiny_recipe().data.model_dump(), "workers": 2}

    train_recipe(short(data=data), store, tmp_path / "run", watcher=Listener())

    assert any("going on with 0 instead of 2 workers" in text for text in Listener.said)


def test_a_real_network_can_be_planned_without_its_memory(store: ClipStore, tmp_path: Path) -> None:
    for name in ("ctrgcn", "msg3d"):
        job = plan_training(short(model={"name": name}), store, tmp_path / "run")

        assert job.model.name == name
        assert job.model.options


def test_an_honest_run_keeps_its_test_part_out_of_training_and_choice(store: ClipStore) -> None:
    parts = choose_parts(tiny_recipe(), store)

    subjects = store.index.subjects
    assert set(subjects[parts.test]) == {4}
    assert len(set(subjects[parts.validation])) == 1
    assert not set(subjects[parts.validation]) & set(subjects[parts.train])
    assert sorted([*parts.train, *parts.validation, *parts.test]) == list(range(24))


def test_a_run_by_the_papers_chooses_on_the_test_part_and_says_so(
    store: ClipStore, tmp_path: Path
) -> None:
    recipe = short(protocol="paper")

    parts = choose_parts(recipe, store)
    checkpoint = train_recipe(recipe, store, tmp_path / "run")

    np.testing.assert_array_equal(parts.validation, parts.test)
    assert set(store.index.subjects[parts.train]) == {1, 2, 3}
    assert checkpoint.protocol == "paper"
    assert all(record["chosen_on_test"] == 1 for record in read_history(tmp_path / "run"))
    assert "chosen_on_test" in (tmp_path / "run" / "metrics.csv").read_text()


def test_the_records_of_an_honest_run_say_nothing_of_the_test_part(
    store: ClipStore, tmp_path: Path
) -> None:
    train_recipe(short(), store, tmp_path / "run")

    assert not any("chosen_on_test" in record for record in read_history(tmp_path / "run"))


def test_equal_plans_are_of_equal_recipes(store: ClipStore, tmp_path: Path) -> None:
    first = plan_training(short(), store, tmp_path)
    second = plan_training(parse_recipe(short().to_yaml()), store, tmp_path)

    assert first.recipe == second.recipe
    assert (first.model, first.inputs) == (second.model, second.inputs)
    assert first.config == second.config
