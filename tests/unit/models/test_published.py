"""The ledger of published figures, and what quotes it."""

import json
import re
from importlib import resources
from pathlib import Path

import pytest

from skelab import recipes
from skelab.models import list_models
from skelab.models.published import load_ledger, published_figures, published_page
from skelab.recipes import load_recipe

REPOSITORY = Path(__file__).resolve().parents[3]
QUOTE = re.compile(r"(\d\d\.\d)(?: top-1)? (?:with|X-Sub|X-Set)")
RECIPES = sorted(Path(recipes.__file__).parent.glob("*.yaml"))


def test_the_cards_of_all_families_take_their_figures_from_it() -> None:
    for card in list_models():
        assert card.reported == published_figures(card.name), (
            f"{card.name}: its figures belong into skelab/models/published.json"
        )


def test_the_page_is_what_the_ledger_says() -> None:
    page = (REPOSITORY / "docs/reference/published.md").read_text()

    assert page == published_page(), "skelab models --published > docs/reference/published.md"


def test_no_figure_stands_twice_and_each_is_a_percentage() -> None:
    figures = load_ledger().figures

    said = [(f.model, f.accuracy.dataset, f.accuracy.split, f.accuracy.streams) for f in figures]

    assert len(set(said)) == len(said)
    assert all(0 < each.accuracy.top1 < 100 for each in figures)


def test_every_source_and_model_of_the_file_is_used() -> None:
    content = json.loads((resources.files("skelab.models") / "published.json").read_text())

    assert {row[0] for row in content["figures"]} == set(content["models"])
    assert {row[5] for row in content["figures"]} == set(content["sources"])


def test_figures_from_memory_are_not_called_read() -> None:
    remembered = [f for f in load_ledger().figures if "memory" in f.accuracy.source]

    assert remembered
    assert not any(each.checked for each in remembered)


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_figures_that_a_recipe_quotes_are_those_of_its_network(path: Path) -> None:
    head = [line for line in path.read_text().splitlines() if line.startswith("# Published")]
    known = [each.top1 for each in published_figures(load_recipe(path.stem).model.name)]

    quoted = [float(figure) for line in head for figure in QUOTE.findall(line)]

    assert bool(quoted) == bool(head)
    for figure in quoted:
        assert any(abs(figure - each) < 0.051 for each in known), figure


def test_accuracies_that_the_comparison_quotes_stand_in_the_ledger() -> None:
    page = (REPOSITORY / "docs/explanation/comparison.md").read_text()
    known = {each.accuracy.top1 for each in load_ledger().figures}

    quoted = {float(figure) for figure in re.findall(r"(\d\d\.\d) %", page)}

    assert quoted
    assert quoted <= known
