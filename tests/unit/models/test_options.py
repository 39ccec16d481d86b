"""Options are the keywords of a builder, with what their annotations say."""

from typing import Annotated

import pytest
from torch import nn

from skelab.errors import ModelError
from skelab.models import ModelOption, Option
from skelab.models.options import Dropout, read_options
from skelab.skeleton import Layout


def test_name_default_and_meaning_are_those_of_the_signature() -> None:
    def build(
        *,
        num_classes: int,
        layout: Layout,
        in_channels: int,
        max_bodies: int,
        dropout: Dropout = 0.5,
        depth: Annotated[int | None, "seen by others", Option("layers")] = None,
        plain: bool = False,
    ) -> nn.Module:
        return nn.Identity()

    assert read_options("mine", build) == (
        ModelOption("dropout", 0.5, "probability of dropping a feature before the classifier"),
        ModelOption("depth", None, "layers"),
        ModelOption("plain", False, ""),
    )


def test_annotations_may_be_strings() -> None:
    def build(
        *,
        num_classes: "int",
        layout: "Layout",
        in_channels: "int",
        max_bodies: "int",
        depth: "Annotated[int, Option('layers')]" = 1,
    ) -> "nn.Module":
        return nn.Identity()

    assert read_options("mine", build) == (ModelOption("depth", 1, "layers"),)


def test_a_string_that_names_nothing_is_refused() -> None:
    def build(
        *,
        num_classes: int,
        layout: "Lay",  # type: ignore[name-defined]  # noqa: F821
        in_channels: int,
        max_bodies: int,
    ) -> nn.Module:
        return nn.Identity()

    with pytest.raises(ModelError, match=r"builder of 'mine': expected annotations .*'Lay'"):
        read_options("mine", build)


def test_an_option_without_a_default_is_refused() -> None:
    def build(
        *, num_classes: int, layout: Layout, in_channels: int, max_bodies: int, depth: int
    ) -> nn.Module:
        return nn.Identity()

    with pytest.raises(ModelError, match="expected a default for each option, found none for dep"):
        read_options("mine", build)


def test_a_builder_without_the_common_keywords_is_refused() -> None:
    def build(*, num_classes: int, layout: Layout) -> nn.Module:
        return nn.Identity()

    with pytest.raises(ModelError, match="found none called in_channels, max_bodies"):
        read_options("mine", build)
