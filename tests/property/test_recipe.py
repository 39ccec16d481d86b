"""What holds for every recipe that can be written, and for every text that is none."""

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from skelab.data.feeding.streams import Stream
from skelab.errors import RecipeError
from skelab.recipes import DataConfig, ModelConfig, Protocol, Recipe, parse_recipe
from skelab.training.config import MemoryConfig, Precision, Schedule, TrainingConfig

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
SHARE = st.floats(0, 1, exclude_min=True)
VALUE = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXT
KEYS = st.sampled_from(
    [
        "name",
        "model",
        "model.name",
        "data",
        "data.window",
        "data.split",
        "data.train_crop",
        "data.stream.x",
        "training.epochs",
        "training.steps",
        "memory.micro_batch",
        "precision",
        ".",
    ]
)


def crops() -> SearchStrategy[tuple[float, float]]:
    return st.tuples(SHARE, SHARE).map(lambda pair: (min(pair), max(pair)))


@st.composite
def recipes(draw: st.DrawFn) -> Recipe:
    """Any recipe within the ranges."""
    options = draw(st.dictionaries(st.sampled_from(["width", "dropout", "deep"]), VALUE))
    return Recipe(
        name=draw(TEXT.filter(bool)),
        summary=draw(TEXT),
        model=ModelConfig.model_validate({"name": draw(TEXT.filter(bool)), **options}),
        data=DataConfig(
            stream=draw(st.sampled_from(list(Stream))),
            window=draw(st.integers(4, 4096)),
            train_crop=draw(crops()),
            eval_crop=draw(SHARE),
            rotation=draw(st.floats(0, 3.15)),
            split=draw(st.sampled_from(["xsub", "xview", "subject:1-3/4", "setup:2/1,3"])),
            validation_subjects=draw(st.integers(0, 40)),
            max_bodies=draw(st.none() | st.integers(1, 8)),
            workers=draw(st.none() | st.integers(0, 64)),
        ),
        training=TrainingConfig(
            epochs=draw(st.integers(1, 10**6)),
            learning_rate=draw(st.floats(0, 1e6, exclude_min=True)),
            weight_decay=draw(st.floats(0, 1)),
            schedule=draw(st.sampled_from(list(Schedule))),
            steps=tuple(draw(st.lists(st.integers(0, 1000), max_size=4))),
            seed=draw(st.integers(0, 2**63 - 1)),
        ),
        memory=MemoryConfig(micro_batch=draw(st.just("auto") | st.integers(1, 512))),
        precision=draw(st.sampled_from(list(Precision))),
        protocol=draw(st.sampled_from(list(Protocol))),
    )


@given(recipes())
def test_a_recipe_reads_back_equal_to_what_was_written(recipe: Recipe) -> None:
    text = recipe.to_yaml()

    assert parse_recipe(text) == recipe


def outcome(text: str, *overrides: str) -> Recipe | str:
    """The recipe, or what it was refused with."""
    try:
        return parse_recipe(text, overrides=overrides)
    except RecipeError as error:
        return str(error)


@given(st.text(max_size=60))
def test_any_text_is_a_recipe_or_refused_in_one_line(text: str) -> None:
    found = outcome(text)

    assert isinstance(found, str)
    assert "\n" not in found


@given(st.text("ab:{}[]-?&*!|>%@`'\"#,\n\t ", max_size=40))
def test_any_text_of_yamls_own_signs_is_refused_in_one_line(text: str) -> None:
    found = outcome(text)

    assert isinstance(found, str)
    assert "\n" not in found


@given(KEYS, st.text(st.characters(exclude_characters="\n"), max_size=30))
def test_any_change_is_taken_or_refused_in_one_line(key: str, value: str) -> None:
    found = outcome("name: mine\nmodel: {name: ctrgcn}\n", f"{key}={value}")

    assert isinstance(found, Recipe) or "\n" not in found
