"""The pages on data name every pipeline and every form that can be written."""

from docs.pages import REPOSITORY, read_page

from skelab.data.convert import list_targets
from skelab.data.preprocessing import list_pipelines

PAGE = read_page(REPOSITORY / "docs/reference/pipelines.md")


def test_the_reference_of_pipelines_has_every_one_with_title_and_source() -> None:
    expected = [[each.name, each.title, each.source] for each in list_pipelines()]

    assert PAGE.table("pipeline") == expected


def test_the_reference_of_pipelines_has_every_form_with_the_pipelines_it_needs() -> None:
    expected = [
        [each.name, " or ".join(f"`{name}`" for name in each.pipelines).strip("`")]
        for each in list_targets()
    ]

    assert [row[:2] for row in PAGE.table("form")] == expected
