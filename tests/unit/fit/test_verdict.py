"""The verdict, its reason, and the settings, from made-up costs."""

from dataclasses import replace
from typing import Any

import pytest
from fit_kit import GIB, small_recipe

from skelab.fit.demand import data_needs
from skelab.fit.figures import MemoryParts, Span
from skelab.fit.outcome import (
    InferenceFit,
    ModelFit,
    OptionFit,
    Settings,
    Verdict,
)
from skelab.fit.verdict import (
    DAY,
    assess,
    gib,
    lasts,
    overall_answer,
    own_batch,
    recommend,
    settings_in_words,
)
from skelab.recipes import Recipe

LIMIT = 8 * GIB


def option(
    precision: str = "fp32",
    activations: str = "keep",
    *,
    largest: int | None = 8,
    at_once: int | None = 8,
    memory: float = 4.0,
    days: float = 0.5,
    note: str = "",
) -> OptionFit:
    return OptionFit(
        precision,
        activations,
        largest_micro_batch=largest,
        micro_batch=at_once,
        memory=MemoryParts(activations=int(memory * GIB)),
        recipe=Span(days * DAY, days * DAY, days * DAY),
        note=note,
    )


NOTHING = replace(option(largest=0, at_once=None), memory=None, recipe=None)


def network(verdict: Verdict, name: str = "ctrgcn", use: float = 0.01) -> ModelFit:
    recipe = small_recipe()
    span = Span(use, use, use)
    fits = InferenceFit("fp32", span, span)
    return ModelFit(name, name, recipe, data_needs(recipe), verdict, "so", inference=fits)


def test_a_recipe_that_leaves_a_fifth_free_and_ends_within_a_day_is_comfortable() -> None:
    found = assess(small_recipe(), [option(memory=6.4, days=1.0)], LIMIT)

    assert found.verdict is Verdict.COMFORTABLE
    assert found.reason == "as it is, it takes 6.4 GiB of 8.0 GiB and about 24 hours"
    assert found.settings == Settings("fp32", "keep", 8)


@pytest.mark.parametrize(
    ("own", "reason"),
    [
        (option(memory=6.5), "as it is, it takes more than four fifths of 8.0 GiB; with fp16 it"),
        (option(days=2.0), "as it is, it takes about 2.0 days; with fp16 it takes 4.0 GiB"),
        (
            option(largest=5, at_once=4),
            "as it is, 5 of 8 clips at once fit into 8.0 GiB; with fp16 it takes",
        ),
        (NOTHING, "as it is, not one clip fits into 8.0 GiB; with fp16 it takes 4.0 GiB"),
        (
            replace(NOTHING, largest_micro_batch=None, note="no bf16"),
            "as it is, it could not be tried (no bf16); with fp16 it takes",
        ),
    ],
)
def test_a_recipe_that_needs_other_settings_is_workable_and_says_why(
    own: OptionFit, reason: str
) -> None:
    found = assess(small_recipe(), [own, option("fp16", days=0.4)], LIMIT)

    assert found.verdict is Verdict.WORKABLE
    assert found.reason.startswith(reason)
    assert found.settings == Settings("fp16", "keep", 8)


def test_what_takes_more_than_a_week_is_no_but_has_its_settings() -> None:
    found = assess(small_recipe(), [option(days=31.0)], LIMIT)

    assert found.verdict is Verdict.NO
    assert "about 31 days; a week is the most" in found.reason
    assert found.settings == Settings("fp32", "keep", 8)


def test_what_does_not_fit_is_no_and_what_was_not_tried_is_unknown() -> None:
    unknown = replace(NOTHING, largest_micro_batch=None, note="killed")

    nothing, untried = (assess(small_recipe(), [own], LIMIT) for own in (NOTHING, unknown))

    assert (nothing.verdict, untried.verdict) == (Verdict.NO, Verdict.UNKNOWN)
    assert (nothing.settings, untried.settings) == (None, None)
    assert untried.reason == "killed"


def test_the_fastest_settings_with_enough_clips_at_once_are_named() -> None:
    few = option(largest=2, at_once=2, days=0.05)
    tight = option("bf16", memory=7.9, days=0.05)
    slow = option("fp32", "recompute", days=0.5)
    fast = option("fp16", days=0.1)
    alike = option("fp16", "recompute", days=0.098)

    found = assess(small_recipe(), [few, tight, slow, fast, alike], LIMIT)

    assert found.settings == Settings("fp16", "keep", 8)


def test_a_comfortable_recipe_names_the_settings_that_are_twice_as_fast() -> None:
    found = assess(small_recipe(), [option(days=0.7), option("fp16", days=0.36)], LIMIT)

    assert found.verdict is Verdict.COMFORTABLE
    assert found.settings == Settings("fp16", "keep", 8)
    assert found.reason.endswith("about 17 hours; with fp16 about 8.6 hours")


def test_exact_statistics_take_whole_batches_only() -> None:
    exact = small_recipe(memory={"batch_norm": "exact"})
    parted, whole = option(largest=4, at_once=4), option("fp32", "recompute")

    found = assess(exact, [parted, whole], LIMIT)

    assert found.settings == Settings("fp32", "recompute", 8)


def test_a_recipe_that_parts_its_batch_itself_is_taken_as_it_is() -> None:
    parted = small_recipe(memory={"micro_batch": 4})

    found = assess(parted, [option(largest=8, at_once=4)], LIMIT)

    assert own_batch(parted) == 4
    assert found.verdict is Verdict.COMFORTABLE
    assert settings_in_words(parted, found.settings) == "the recipe as it is"


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (Settings("fp32", "keep", 8), "the recipe as it is"),
        (Settings("bf16", "recompute", 3), "bf16, recompute, 3 clips at once"),
        (None, "nothing"),
    ],
)
def test_settings_are_told_by_what_they_change(settings: Settings | None, words: str) -> None:
    assert settings_in_words(small_recipe(), settings) == words


def test_the_most_accurate_of_the_best_verdict_is_recommended() -> None:
    def real(name: str, verdict: Verdict) -> ModelFit:
        recipe = Recipe.model_validate({"name": name, "model": {"name": name}})
        return replace(network(verdict, name), recipe=recipe)

    workable, no = Verdict.WORKABLE, Verdict.NO
    all_no = [real("ctrgcn", no)]
    some = [real("stgcn", workable), real("ctrgcn", workable), real("msg3d", no)]

    assert recommend(all_no) == ""
    assert recommend(some) == "ctrgcn"
    assert recommend([real("stgcn", Verdict.COMFORTABLE), *some]) == "stgcn"


@pytest.mark.parametrize(
    ("verdicts", "opening"),
    [
        (["comfortable"], "Yes: start with n0. So. These are predictions."),
        (["comfortable", "comfortable"], "Yes: start with n0. 2 of 2 train comfortably (n0, n1)."),
        (
            ["workable", "comfortable"],
            "Yes: start with n1. 1 of 2 train comfortably (n1), 1 workably (n0).",
        ),
        (["workable", "workable"], "Yes: start with n0. 2 of 2 train workably (n0, n1)."),
        (
            ["comfortable", "workable", "no"],
            "Mostly: start with n0. 1 of 3 train comfortably (n0), 1 workably (n1), 1 not (n2).",
        ),
        (
            ["workable", "no", "no"],
            "In part: start with n0. 1 of 3 train workably (n0), 2 not (n1, n2).",
        ),
        (["no", "no"], "No. 2 of 2 cannot be trained (n0, n1)."),
        (["no", "unknown"], "No. 1 of 1 cannot be trained (n0), 1 could not be tried"),
        (["no"], "No. So."),
        (["unknown"], "a card: nothing could be determined"),
    ],
)
def test_the_answer_counts_and_names_the_networks(verdicts: list[Any], opening: str) -> None:
    models = [network(Verdict(verdict), f"n{k}") for k, verdict in enumerate(verdicts)]

    said = overall_answer(models, name="a card", measured=False)

    assert said.startswith(opening)
    assert " 0 of" not in said.split("In use")[0]


@pytest.mark.parametrize(
    ("chosen", "settings"),
    [
        (option("fp16", days=0.3625), "fp16, batch 8; about 8.7 hours"),
        (
            option("fp16", "recompute", at_once=2, days=0.3625),
            "fp16, batch 8 in parts of 2, recomputing activations; about 8.7 hours",
        ),
    ],
)
def test_the_first_sentence_names_network_settings_hours_disk_and_memory(
    chosen: OptionFit, settings: str
) -> None:
    model = replace(
        network(Verdict.COMFORTABLE),
        options=(chosen,),
        settings=Settings(chosen.precision, chosen.activations, chosen.micro_batch or 1),
    )

    said = overall_answer([model, network(Verdict.NO, "b")], name="it", measured=True, memory="RAM")

    assert said.startswith(
        f"In part: start with ctrgcn, {settings} for {model.data.title}, 1.6 GiB on disk, 4.0 GiB"
        " of RAM. 1 of 2"
    )


def test_the_answer_tells_which_keep_up_with_a_stream() -> None:
    models = [network(Verdict.NO), network(Verdict.NO, "b", use=0.05)]

    measured = overall_answer(models, name="it", measured=True)
    predicted = overall_answer(models, name="it", measured=False)

    assert measured.endswith("In use, 1 of 2 answer every frame of 30 a second.")
    assert predicted.endswith("These are predictions.")


def test_sizes_and_times_have_as_many_digits_as_count() -> None:
    assert [gib(size) for size in (GIB // 8, 3 * GIB, 24 * GIB)] == [
        "0.12 GiB",
        "3.0 GiB",
        "24.0 GiB",
    ]
    assert [lasts(s) for s in (2.0, 42.0, 600.0, 9.5 * 3600, 40 * DAY)] == [
        "2.0 s",
        "42 s",
        "10 minutes",
        "9.5 hours",
        "40 days",
    ]
    assert lasts(9.5 * 3600, short=True) == "9.5 h"
