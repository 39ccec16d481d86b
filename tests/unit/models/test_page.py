"""The page of the model families says what their cards say."""

from dataclasses import replace

from skelab.models import (
    FamilyTraits,
    ModelCard,
    ModelOption,
    ReportedAccuracy,
    list_models,
    models_page,
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
