"""Parts of a run: whose split, who is held out, and the line that says so."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_clips import tiny_clip, tiny_info, tiny_store
from tiny_run import FEEDER, tiny_recipe

from skelab.data.clips.clip import SampleInfo
from skelab.data.clips.store import ClipStore, open_store
from skelab.data.clips.write import write_store
from skelab.errors import SplitError
from skelab.recipes import Recipe
from skelab.runs.parts import (
    check_own_split,
    choose_parts,
    describe_parts,
    draw_held_out,
    use_given_split,
    warn_of_parts,
)


@pytest.fixture
def store(tmp_path: Path) -> ClipStore:
    return tiny_store(tmp_path / "clips.arrow")


def recipe_of(split: str, validation_subjects: int = 1, **data: Any) -> Recipe:
    whole = {"split": split, "validation_subjects": validation_subjects, **data}
    return tiny_recipe(data={**FEEDER.model_dump(), **whole})


def store_of(path: Path, samples: list[dict[str, Any]], **info: Any) -> ClipStore:
    clips = []
    for row, known in enumerate(samples):
        made = tiny_clip(row, label=row % 3)
        sample = SampleInfo(f"clip{row}", row % 3, **known)
        clips.append(replace(made, info=sample))
    write_store(path, clips, tiny_info(**info))
    return open_store(path)


def test_the_recipe_names_who_is_drawn_and_the_parts_follow(store: ClipStore) -> None:
    recipe = draw_held_out(recipe_of("subject:1-3/4"), store)

    parts = choose_parts(recipe, store)

    assert recipe.data.held_out is not None
    assert set(store.index.subjects[parts.validation].tolist()) == set(recipe.data.held_out)
    assert draw_held_out(recipe, store) is recipe


def test_who_was_named_validates_whatever_the_seed_and_the_clips(store: ClipStore) -> None:
    parts = choose_parts(recipe_of("subject:1-3/4", held_out=(2, 3)), store)

    assert set(store.index.subjects[parts.validation].tolist()) == {2, 3}
    assert set(store.index.subjects[parts.train].tolist()) == {1}


def test_a_recipe_of_before_that_names_nobody_means_the_draw_of_before(store: ClipStore) -> None:
    subjects = np.unique(store.index.subjects[store.index.subjects < 4])
    drawn = np.random.default_rng(3).choice(subjects, size=1, replace=False)  # the tiny seed is 3

    parts = choose_parts(recipe_of("subject:1-3/4"), store)

    assert np.unique(store.index.subjects[parts.validation]).tolist() == drawn.tolist()


@pytest.mark.parametrize("protocol", ["paper", "honest"])
def test_nobody_is_drawn_where_nobody_validates(store: ClipStore, protocol: str) -> None:
    recipe = recipe_of("subject:1-3/4", validation_subjects=int(protocol == "paper"))
    recipe = recipe.model_copy(update={"protocol": type(recipe.protocol)(protocol)})

    assert draw_held_out(recipe, store) is recipe


def test_people_of_sbu_never_stand_on_both_sides(tmp_path: Path) -> None:
    pairs = [203, 302, 305, 503, 103, 107, 701, 703, 102]
    store = store_of(
        tmp_path / "sbu.arrow",
        [{"subject": pair} for pair in pairs for _ in range(3)],
        dataset="sbu",
    )
    recipe = draw_held_out(recipe_of("sbu-fold1", 2), store)

    parts = choose_parts(recipe, store)

    people = [
        {number for pair in store.index.subjects[rows].tolist() for number in divmod(pair, 100)}
        for rows in (parts.train, parts.validation)
    ]
    assert people[1] == set(recipe.data.held_out or ())
    assert not people[0] & people[1]
    assert parts.left_out == 24 - len(parts.train) - len(parts.validation) > 0
    assert describe_parts(recipe, store, parts).endswith(
        f"; {parts.left_out} clips of both sides' people are left out"
    )


def test_the_line_says_clips_people_classes_and_share(store: ClipStore) -> None:
    recipe = draw_held_out(recipe_of("subject:1-3/4"), store)

    line = describe_parts(recipe, store, choose_parts(recipe, store))

    assert line == (
        "split subject:1-3/4: train 12 clips (2 subjects) · validation 6 (1) · test 6 (1);"
        " validation has 3 of 3 classes and 33.3% of the training part"
    )


def test_the_line_says_the_protocol_or_that_nothing_validates(store: ClipStore) -> None:
    plain = recipe_of("subject:1-3/4", 0)
    paper = plain.model_copy(update={"protocol": type(plain.protocol)("paper")})

    lines = [describe_parts(each, store, choose_parts(each, store)) for each in (plain, paper)]

    assert lines == [
        "split subject:1-3/4: train 18 clips (3 subjects) · test 6 (1); no validation: the last"
        " epoch counts",
        "split subject:1-3/4: train 18 clips (3 subjects) · test 6 (1); protocol paper: the test"
        " part chooses the epoch",
    ]
    assert warn_of_parts(paper, choose_parts(paper, store)) is None


def test_people_who_are_not_known_are_not_counted(tmp_path: Path) -> None:
    store = store_of(tmp_path / "a.arrow", [{"camera": 1 + row % 2} for row in range(6)])
    recipe = recipe_of("camera:1/2", 0)

    line = describe_parts(recipe, store, choose_parts(recipe, store))

    assert line.startswith("split camera:1/2: train 3 clips · test 3; no validation")


def test_more_validation_than_training_is_warned_of(store: ClipStore) -> None:
    recipe = draw_held_out(recipe_of("subject:1-3/4", 2), store)

    warning = warn_of_parts(recipe, choose_parts(recipe, store))

    assert warning == (
        "warning: validation takes 12 clips and leaves 6 to train on; --set"
        " data.validation_subjects=N holds out fewer"
    )


def test_the_split_of_another_data_set_is_refused_with_the_setting_that_mends_it(
    tmp_path: Path,
) -> None:
    samples = [{"subject": 1 + row % 4} for row in range(8)]
    store = store_of(tmp_path / "mine.arrow", samples, dataset="custom")

    with pytest.raises(SplitError) as caught:
        check_own_split(recipe_of("xsub"), store)

    assert str(caught.value).endswith(
        "but the clips are of a data set of your own: expected --set data.split=subject:1-2/3-4"
    )


@pytest.mark.parametrize(("subject", "left"), [(1, 1), (None, 0)])
def test_own_clips_with_parts_are_split_by_them_and_validate_where_subjects_are_known(
    tmp_path: Path, subject: int | None, left: int
) -> None:
    samples = [{"subject": subject, "parts": (part,)} for part in ("train", "test") * 2]
    store = store_of(tmp_path / "mine.arrow", samples, dataset="custom")

    recipe, why = use_given_split(recipe_of("xsub", held_out=(5,)), store)

    assert (recipe.data.split, recipe.data.validation_subjects) == ("given", left)
    assert recipe.data.held_out == ((5,) if left else None)
    assert why.startswith(
        f"{store.path}: split xsub is not theirs: the parts of the file itself are taken"
        if left
        else f"{store.path}: the clips lack what split xsub goes by"
    )
