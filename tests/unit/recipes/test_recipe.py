"""Recipes: what is read, what is changed by hand, and how a slip of the pen is met."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from skelab.data.feeding.streams import Stream
from skelab.errors import RecipeError
from skelab.recipes import (
    ModelConfig,
    Protocol,
    Recipe,
    list_recipes,
    load_recipe,
    parse_recipe,
    whole_key,
)
from skelab.training.config import Precision

SMALL = "name: mine\nmodel: {name: ctrgcn}\n"


def refusal(text: str = SMALL, *overrides: str) -> str:
    """The one line with which a text, or a change of it, is refused."""
    with pytest.raises(RecipeError) as caught:
        parse_recipe(text, where="mine.yaml", overrides=overrides)
    message = str(caught.value)
    assert "\n" not in message
    assert len(message) < 500
    return message


def test_recipes_that_come_with_the_lab_are_listed_by_name() -> None:
    recipes = list_recipes()

    names = [recipe.name for recipe in recipes]
    assert {"ctrgcn", "ctrgcn-demo", "ctrgcn-utd"} <= set(names)
    assert names == sorted(names)
    for recipe in recipes:
        assert recipe.summary
        assert load_recipe(recipe.name) == recipe


def test_the_recipe_of_ctrgcn_has_its_authors_settings() -> None:
    recipe = load_recipe("ctrgcn")

    training, data = recipe.training, recipe.data
    assert recipe.model.name == "ctrgcn"
    assert (training.epochs, training.batch_size, training.drop_last) == (65, 64, True)
    assert (training.learning_rate, training.momentum, training.nesterov) == (0.1, 0.9, True)
    assert (training.warmup_epochs, training.steps, training.decay) == (5, (35, 55), 0.1)
    assert (training.weight_decay, training.label_smoothing, training.seed) == (0.0004, 0.0, 1)
    assert (data.window, data.train_crop, data.eval_crop) == (64, (0.5, 1.0), 0.95)
    assert (data.rotation, data.stream, data.split) == (0.3, Stream.JOINT, "xsub")
    assert (recipe.precision, recipe.protocol) == (Precision.FP32, Protocol.HONEST)


@pytest.mark.parametrize("name", [recipe.name for recipe in list_recipes()])
def test_a_resolved_recipe_reads_back_equal_and_writes_every_default_out(name: str) -> None:
    recipe = load_recipe(name)

    text = recipe.to_yaml()

    assert parse_recipe(text) == recipe
    written = yaml.safe_load(text)
    for section in ("data", "training", "memory"):
        assert set(written[section]) == set(type(getattr(recipe, section)).model_fields)


def test_a_recipe_is_read_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(f"{SMALL}data: {{stream: bone-motion, split: 'subject:1-5/6'}}\n")

    recipe = load_recipe(str(path), ["training.epochs=3"])

    assert (recipe.name, recipe.training.epochs) == ("mine", 3)
    assert (recipe.data.stream, recipe.data.split) == (Stream.BONE_MOTION, "subject:1-5/6")


def test_what_a_recipe_does_not_say_has_its_default() -> None:
    recipe = parse_recipe(SMALL)

    assert recipe == Recipe(name="mine", model=ModelConfig(name="ctrgcn"))


def test_keys_beside_the_name_of_a_model_are_its_options() -> None:
    recipe = parse_recipe("name: mine\nmodel: {name: ctrgcn, width: 32, dropout: 0.5}\n")

    assert recipe.model.options == {"width": 32, "dropout": 0.5}
    assert parse_recipe(recipe.to_yaml()).model.options == recipe.model.options


@pytest.mark.parametrize("value", [True, 3, 0.5, float("inf"), None, "a word", [1, 2], ""])
def test_an_option_of_a_model_is_written_as_it_is(value: object) -> None:
    recipe = Recipe(name="mine", model=ModelConfig.model_validate({"name": "a", "width": value}))

    again = parse_recipe(recipe.to_yaml())

    assert again.model.options == {"width": value}


def test_the_part_that_a_network_depends_on_is_the_feeders_alone() -> None:
    recipe = parse_recipe(SMALL, overrides=["data.stream=bone", "data.split=xview"])

    feeder = recipe.data.feeder

    assert feeder.stream is Stream.BONE
    assert not hasattr(feeder, "split")
    assert feeder == parse_recipe(SMALL, overrides=["data.stream=bone"]).data.feeder


@pytest.mark.parametrize(
    ("override", "path", "expected"),
    [
        ("training.epochs=3", ("training", "epochs"), 3),
        ("training.learning_rate=0.05", ("training", "learning_rate"), 0.05),
        ("training.learning_rate=1e-3", ("training", "learning_rate"), 0.001),
        ("training.learning_rate=1", ("training", "learning_rate"), 1.0),
        ("training.nesterov=false", ("training", "nesterov"), False),
        ("training.steps=[10, 20]", ("training", "steps"), (10, 20)),
        ("training.steps=[]", ("training", "steps"), ()),
        ("data.train_crop=[0.25, 0.75]", ("data", "train_crop"), (0.25, 0.75)),
        ("data.split=subject:1,3,5/7", ("data", "split"), "subject:1,3,5/7"),
        ("data.max_bodies=null", ("data", "max_bodies"), None),
        ("memory.micro_batch=8", ("memory", "micro_batch"), 8),
        ("memory={activations: recompute}", ("memory", "activations"), "recompute"),
        ("precision=bf16", ("precision",), Precision.BF16),
        ("protocol=paper", ("protocol",), Protocol.PAPER),
        ("model.width=32", ("model", "options"), {"width": 32}),
        ("summary=a=b", ("summary",), "a=b"),
    ],
)
def test_a_value_is_changed_by_hand(override: str, path: tuple[str, ...], expected: object) -> None:
    found: Any = parse_recipe(SMALL, overrides=[override])

    for name in path:
        found = getattr(found, name)
    assert found == expected


def test_of_two_changes_of_one_key_the_last_one_counts() -> None:
    recipe = parse_recipe(SMALL, overrides=["training.epochs=3", "training.epochs=4"])

    assert recipe.training.epochs == 4


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("training.epochs", "--set training.epochs: expected KEY=VALUE, say training.epochs=3"),
        ("=3", "--set =3: expected KEY=VALUE, say training.epochs=3"),
        ("", "--set : expected KEY=VALUE, say training.epochs=3"),
        (
            "training.steps=[1, ",
            "--set training.steps=[1, : the value is not YAML: expected the node content, but found"
            " '<stream end>'",
        ),
        (
            "name=2001-99-99",
            "--set name=2001-99-99: the value is not YAML: month must be in 1..12",
        ),
        (
            "a={b: 1, b: 2}",
            "--set a={b: 1, b: 2}: the value is not YAML: key 'b' stands twice",
        ),
        (
            "a={b: &x [1], c: *x}",
            "--set a={b: &x [1], c: *x}: the value is not YAML: an alias (*x); write the value out",
        ),
        ("name.first=x", "--set name.first=x: name is a value, it has no keys below it"),
    ],
)
def test_a_change_that_cannot_be_read_is_refused(override: str, message: str) -> None:
    assert refusal(SMALL, override) == message


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("training.epoch=3", "unknown key of training 'epoch', did you mean 'epochs'?"),
        ("training.lr=3", "unknown key of training 'lr'. Known: auxiliary, batch_size, "),
        ("data.windows=3", "unknown key of data 'windows', did you mean 'window'?"),
        ("memory.micro=3", "unknown key of memory 'micro', did you mean 'micro_batch'?"),
        ("trianing.epochs=3", "unknown key 'trianing', did you mean 'training'?"),
        ("precison=bf16", "unknown key 'precison', did you mean 'precision'?"),
    ],
)
def test_an_unknown_key_names_the_nearest_and_all_known(override: str, message: str) -> None:
    found = refusal(SMALL, override)

    assert found.startswith(f"mine.yaml: {message}")
    assert "Known: " in found


@pytest.mark.parametrize(
    ("override", "message"),
    [
        (
            "training.epochs=0",
            "training.epochs: input should be greater than or equal to 1, found 0",
        ),
        ("training.decay=2", "training.decay: input should be less than or equal to 1, found 2"),
        ("training.momentum=1", "training.momentum: input should be less than 1, found 1"),
        ("training.learning_rate=.inf", "training.learning_rate: input should be a finite number"),
        ("training.steps=[5, -1]", "training.steps.1: input should be greater than or equal to 0"),
        ("data.window=2", "data.window: input should be greater than or equal to 4, found 2"),
        ("data.rotation=9", "data.rotation: input should be less than or equal to 3.15, found 9"),
        ("data.train_crop=[1, 0.5]", "data.train_crop: expected a lowest and a highest share"),
        ("data.workers=65", "data.workers: input should be less than or equal to 64, found 65"),
        ("training.momentum=0", "training: nesterov needs a momentum above 0"),
    ],
)
def test_a_value_out_of_range_is_refused_with_its_range(override: str, message: str) -> None:
    assert refusal(SMALL, override).startswith(f"mine.yaml: {message}")


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("training.epochs=many", "training.epochs: input should be a valid integer, found 'many'"),
        ("training.epochs=true", "training.epochs: input should be a valid integer, found True"),
        ("training.epochs=", "training.epochs: input should be a valid integer, found None"),
        ("training.nesterov=maybe", "training.nesterov: input should be a valid boolean"),
        ("training=3", "training: input should be a valid dictionary"),
        ("name=3", "name: input should be a valid string, found 3"),
        ("data.stream=bones", "data.stream: input should be 'joint', 'bone', 'joint-motion' or"),
        ("precision=fp8", "precision: input should be 'fp32', 'bf16', 'fp16', 'apex-o1' or"),
        ("protocol=best", "protocol: input should be 'honest' or 'paper', found 'best'"),
        ("memory.micro_batch=half", "memory.micro_batch: expected auto or a whole number from 1"),
        ("memory.micro_batch=0", "memory.micro_batch: expected auto or a whole number from 1"),
        ("memory.activations=drop", "memory.activations: input should be 'keep' or 'recompute'"),
        ("data.split=xsup", "data.split: unknown split 'xsup', did you mean 'xsub'?"),
        ("data.split=subject:1/1", "data.split: split subject:1/1: 1 is on both sides"),
        ('data.split="a\\nb"', "data.split: unknown split 'a\\nb'"),
    ],
)
def test_a_value_of_another_kind_is_refused_with_what_was_found(
    override: str, message: str
) -> None:
    assert refusal(SMALL, override).startswith(f"mine.yaml: {message}")


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("training.learning_rate=1e300", "learning_rate: input should be less than or equal to 10"),
        (f"training.epochs={'9' * 10}", "training.epochs: input should be less than or equal"),
        (f"training.steps=[{'9' * 10}]", "training.steps.0: input should be less than or equal"),
        (f"memory.micro_batch={'9' * 10}", "memory.micro_batch: expected auto or a whole number"),
        (f"training.epochs={'9' * 400}", "the value is not YAML: an integer of 400"),
        ("model.num_classes=3", "model: num_classes follows from the clips and is no option"),
        ("model.layout=ntu25", "model: layout follows from the clips and is no option of a net"),
        ("data.held_out=[-1]", "data.held_out.0: input should be greater than or equal to 0"),
        ("data.held_out=[99999999999]", "data.held_out.0: input should be less than 2147483648"),
        ('name="\\ud800"', "name: input should be a valid string, unable to parse"),
        (f"name={'x' * 300}", "name: string should have at most 200 characters"),
    ],
)
def test_a_value_that_nothing_could_be_done_with_is_refused(override: str, message: str) -> None:
    with pytest.raises(RecipeError, match=message) as caught:
        load_recipe("ctrgcn", [override])

    assert len(str(caught.value)) < 400


def test_a_long_value_is_cut_short_in_the_message() -> None:
    message = refusal(SMALL, f"training.epochs={'x' * 5000}")

    assert message.endswith("xxx...")


def test_several_faults_are_counted_and_the_first_is_told() -> None:
    message = refusal("{}")

    assert message == "mine.yaml: key name is missing (and 1 more)"


def test_a_model_needs_a_name() -> None:
    message = refusal("name: mine\nmodel: {width: 3}\n")

    assert message == "mine.yaml: key model.name is missing"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name: a\nmodel: {name: b\n", "line 3: expected YAML, found a fault: expected ',' or '}'"),
        ("name: a: b\n", "line 1: expected YAML, found a fault: mapping values are not allowed"),
        ("name: a\nname: b\n", "line 2: expected YAML, found a fault: key 'name' stands twice"),
        (f"{SMALL}data:\n  window: 8\n  window: 9\n", "line 5: expected YAML, found a fault: key "),
        ("? [a]\n: b\n", "line 1: expected YAML, found a fault: a key that is a list or a mapping"),
        ("a: !!python/name:os.system x\n", "line 1: expected YAML, found a fault: could not deter"),
    ],
)
def test_what_is_not_yaml_is_refused_with_its_line(text: str, message: str) -> None:
    assert refusal(text).startswith(f"mine.yaml, {message}")


@pytest.mark.parametrize("text", ["name: 2001-99-99\n", "a: \0\n", "[" * 5000, "a: \ud800"])
def test_what_no_line_can_be_given_for_is_refused_all_the_same(text: str) -> None:
    assert refusal(text).startswith("mine.yaml: expected YAML, found a fault: ")


@pytest.mark.parametrize(
    ("text", "found"), [("", "NoneType"), ("- a\n", "list"), ("ctrgcn", "str"), ("3", "int")]
)
def test_a_text_without_keys_is_refused(text: str, found: str) -> None:
    assert refusal(text) == f"mine.yaml: expected keys and values, found {found}"


def test_an_unknown_recipe_names_the_nearest() -> None:
    with pytest.raises(
        RecipeError, match="unknown recipe 'ctrgnc', did you mean 'ctrgcn'"
    ) as found:
        load_recipe("ctrgnc")

    assert "\n" not in str(found.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"mine\.yaml: the recipe cannot be read: No such file"):
        load_recipe(str(tmp_path / "mine.yaml"))


def test_a_folder_in_place_of_a_recipe_is_named(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").mkdir()

    with pytest.raises(RecipeError, match=r"mine\.yaml: the recipe cannot be read: Is a directory"):
        load_recipe(str(tmp_path / "mine.yaml"))


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_bytes(b"\xff\xfe\x00")

    with pytest.raises(RecipeError, match="the recipe cannot be read: it is not UTF-8 text"):
        load_recipe(str(tmp_path / "mine.yaml"))


# Recipes that extend others


def write(folder: Path, **recipes: str) -> None:
    for name, text in recipes.items():
        (folder / f"{name}.yaml").write_text(text)


def test_a_recipe_takes_over_what_it_does_not_say_itself(tmp_path: Path) -> None:
    write(tmp_path, mine="extends: ctrgcn\nname: mine\ndata:\n  window: 32\n")
    base = load_recipe("ctrgcn")

    found = load_recipe(str(tmp_path / "mine.yaml"))

    assert (found.name, found.data.window) == ("mine", 32)
    assert found.data.model_copy(update={"window": 64}) == base.data
    assert found.training == base.training
    assert "extends" not in found.to_yaml()


def test_files_are_found_beside_the_recipe_that_extends_them(tmp_path: Path) -> None:
    folder = tmp_path / "below"
    folder.mkdir()
    write(tmp_path, base="extends: ctrgcn\ntraining:\n  epochs: 3\n  seed: 9\n")
    write(folder, mine="extends: ../base.yaml\nname: mine\ntraining:\n  epochs: 4\n")

    found = load_recipe(str(folder / "mine.yaml"), ["training.batch_size=2"])

    assert (found.training.epochs, found.training.seed, found.training.batch_size) == (4, 9, 2)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("extends: ctrgnc\n", "unknown recipe 'ctrgnc', did you mean 'ctrgcn'"),
        ("extends: gone.yaml\n", "gone.yaml: the recipe cannot be read: No such file"),
        ("extends: 3\n", "extends: expected the name of a recipe, found 3"),
        ("extends: ctrgcn\ndata:\n  windw: 3\n", "unknown key of data 'windw'"),
    ],
)
def test_what_cannot_be_extended_is_named(tmp_path: Path, text: str, said: str) -> None:
    write(tmp_path, mine=text)

    with pytest.raises(RecipeError) as caught:
        load_recipe(str(tmp_path / "mine.yaml"))

    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_recipes_that_extend_each_other_are_refused(tmp_path: Path) -> None:
    write(tmp_path, one="extends: two.yaml\n", two="extends: one.yaml\n")

    with pytest.raises(RecipeError, match="extends itself, by way of"):
        load_recipe(str(tmp_path / "one.yaml"))


@pytest.mark.parametrize("name", ["ctrgcn", "msg3d"])
def test_in_8_gb_nothing_but_the_memory_differs(name: str) -> None:
    base, small = load_recipe(name), load_recipe(f"{name}-8gb")

    assert small.memory.activations == "recompute"
    same = {"name": base.name, "summary": base.summary, "memory": base.memory}
    assert small.model_copy(update=same) == base


def test_a_recipe_from_before_there_was_auto_still_means_it() -> None:
    assert load_recipe("ctrgcn", ["memory.micro_batch=null"]).memory.micro_batch == "auto"


@pytest.mark.parametrize(
    ("override", "whole"),
    [
        ("epochs=2", "--set training.epochs=2"),
        ("split=ucla", "--set data.split=ucla"),
        ("micro_batch=4", "--set memory.micro_batch=4"),
    ],
)
def test_a_setting_without_its_section_is_refused_with_the_whole_key(
    override: str, whole: str
) -> None:
    with pytest.raises(RecipeError, match=re.escape(whole)):
        load_recipe("ctrgcn", [override])


def test_keys_of_the_recipe_itself_and_unknown_ones_have_no_section() -> None:
    assert whole_key("epochs") == "training.epochs"
    assert [whole_key(key) for key in ("seeds", "training.epochs", "epoch")] == [None] * 3


def test_the_recipe_for_small_sets_holds_a_subject_out_and_keeps_the_last_batch() -> None:
    recipe = load_recipe("ctrgcn-small", ["data.split=subject:1-4/5,6"])

    assert recipe.data.validation_subjects == 1
    assert not recipe.training.drop_last
    assert recipe.training.batch_size == 8
