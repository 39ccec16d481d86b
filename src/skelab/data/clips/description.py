"""What a store says of itself: a schema, strict and bounded, as a store may come from anybody."""

from typing import Annotated, Final, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, TypeAdapter, model_validator

from skelab.errors import LayoutError
from skelab.files.description import Name, Text
from skelab.skeleton import Layout

Joint = Annotated[int, Field(ge=0, lt=1_000)]


class Described(BaseModel):
    """A description: unknown keys are refused, and nothing is converted."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class LayoutTable(Described):
    """The table of a layout; ``Layout`` compares its entries with each other."""

    name: Name
    title: Name
    joints: Annotated[tuple[Name, ...], Field(min_length=1, max_length=1_000)]
    bones: Annotated[tuple[tuple[Joint, Joint], ...], Field(max_length=1_000)]
    pairs: Annotated[tuple[tuple[Joint, Joint], ...], Field(max_length=1_000)]
    centre: Joint
    origin: Joint
    axes: Annotated[tuple[Name, ...], Field(min_length=1, max_length=16)] = ("x", "y", "z")
    source: Text = ""

    @property
    def layout(self) -> Layout:
        """The layout; raises a LayoutError where the entries contradict each other."""
        return Layout.from_dict(self.model_dump())

    @model_validator(mode="after")
    def _entries_agree(self) -> Self:
        try:
            _ = self.layout
        except LayoutError as error:
            raise ValueError(str(error)) from None
        return self


Entry = tuple[Text, Text, Text]
"""A sample that was left out, or a label that is doubtful: name, cause and reason."""


def _is_known(found: int) -> int:
    if found not in (1, 2):
        raise ValueError(
            f"expected a store of format version 1 or 2, found {str(found)[:20]}; ingest the"
            " source again"
        )
    return found


class StoreDescription(Described):
    """The description of a clip store."""

    format: Annotated[int, AfterValidator(_is_known)]
    layout: LayoutTable
    pipeline: Name
    classes: Annotated[tuple[Name, ...], Field(max_length=1_000_000)]
    dataset: Name
    units: Name = "metres"
    synthetic: bool = False
    source_digest: Name = ""
    digest: Name = ""
    excluded: tuple[Entry, ...] = ()
    versions: dict[Name, Name] = Field(default_factory=dict)
    annotations: Name = ""
    title: Name = ""
    notes: tuple[Entry, ...] = ()


STORE_SCHEMA: Final[TypeAdapter[StoreDescription]] = TypeAdapter(StoreDescription)
