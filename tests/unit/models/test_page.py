"""The page of the model families says what their cards say."""

from dataclasses import replace
from typing import Any

import pytest

from skelab.errors import ModelError
from skelab.models import (
    SORT_KEYS,
    FamilyTraits,
    ModelCard,
    ModelOption,
    ReportedAccuracy,
    compared_figures,
    list_models,
    measured_families,
    models_page,
    sorted_cards,
)

BARE = ModelCard(name="bare", title="Bare")
FULL = ModelCard(
    name="full",
    title="Full",
    paper="Somebody: Something. 2020",
    arxiv="2001.00001",
    code="somebody/something@0123456789abcdef",
    code_licence="MIT",
    num_parameters=1_234_567,
    reported=(ReportedAccuracy("NTU60", "xsub", "joint", 81.5, "the paper"),),
    options=(ModelOption("depth", None, "how deep"), ModelOption("wide", False, "is it")),
    traits=FamilyTraits(frames_multiple_of=4),
)


def test_a_card_becomes_a_row_and_a_section() -> None:
    page = models_page([FULL])

    assert "| `full` | Full | 1,234,567 | `somebody/something@0123456` | MIT |\n" in page
    assert "## Full\n" in page
    assert "[arXiv:2001.00001](https://arxiv.org/abs/2001.00001)" in page
    assert "The frames of a clip must be a multiple of 4.\n" in page
    assert "| `depth` | `null` | how deep |\n" in page
    assert "| `wide` | `false` | is it |\n" in page
    assert "| NTU60 | xsub | joint | 81.5 | the paper |\n" in page


def test_what_is_unusual_of_a_family_stands_in_words() -> None:
    traits = FamilyTraits(bodies_mix=True, samples_mix=True, causal=True, min_frames=8)
    card = replace(FULL, traits=traits, pipeline="msg3d", pipeline_is_nearest=True)

    page = models_page([card])

    assert "The frames of a clip must be at least 8.\n" in page
    assert "The bodies of a clip mix, so that absent bodies are not spared.\n" in page
    assert "The clips of a batch mix.\n" in page
    assert "It is causal: no token depends on later frames.\n" in page
    assert "Preprocessing: `msg3d`, which comes nearest to its authors'.\n" in page


def test_what_a_card_leaves_open_is_left_out() -> None:
    page = models_page([BARE])

    assert "| `bare` | Bare |  |  |  |\n" in page
    section = page.partition("## Bare\n")[2]
    assert "arXiv" not in section
    assert "|" not in section


def test_every_family_is_on_the_page() -> None:
    page = models_page(list_models())

    for card in list_models():
        assert f"| `{card.name}` |" in page


def test_every_family_was_measured_with_the_machine_named() -> None:
    measured = measured_families()

    assert measured.families.keys() == {card.name for card in list_models()}
    assert measured.machine
    assert measured.torch
    for cost in measured.families.values():
        assert min(cost.frames, cost.gflops, cost.ms, cost.mb) > 0


def test_weights_take_the_memory_of_their_parameters() -> None:
    families = measured_families().families

    for card in list_models():
        assert card.num_parameters is not None
        least = 4 * card.num_parameters / 1e6
        # buffers and frozen parameters come on top
        assert 0.95 * least <= families[card.name].mb <= 1.5 * least + 1, card.name


@pytest.mark.parametrize("key", SORT_KEYS)
def test_families_are_sorted_with_the_best_first_and_the_unknown_last(key: str) -> None:
    cards = sorted_cards(list_models(), key)

    families = measured_families().families
    costs = [families[card.name] for card in cards]
    figures: dict[str, list[Any]] = {
        "name": [card.name for card in cards],
        "parameters": [card.num_parameters for card in cards],
        "flops": [cost.gflops for cost in costs],
        "latency": [cost.ms for cost in costs],
        "memory": [cost.mb for cost in costs],
        "accuracy": [-float(row[0]) for row in map(compared_figures, cards) if row[0]],
    }
    assert figures[key] == sorted(figures[key])
    assert len(cards) == len(list_models())


def test_an_unknown_key_is_refused_with_those_that_are_known() -> None:
    with pytest.raises(ModelError, match=r"unknown key to sort by 'latencies', did you mean 'late"):
        sorted_cards(list_models(), "latencies")


def test_the_page_compares_the_families_and_says_how_to_measure_again() -> None:
    page = models_page(list_models())

    measured = measured_families()
    table = page.partition("## Compared\n")[2].partition("\n## ")[0]
    assert f"Measured on {measured.machine}, PyTorch {measured.torch}" in table
    assert measured.command in table
    for card in list_models():
        row = " | ".join((f"`{card.name}`", *compared_figures(card)))
        assert row in table
        assert table.count(f"| `{card.name}` |") == 1
