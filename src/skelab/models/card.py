"""What a model family says of itself."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from skelab.models.options import ModelOption
from skelab.models.traits import FamilyTraits

CLEAN_ROOM = (
    "Apache-2.0; a clean-room rewrite from the paper and a description of the network, with no"
    " code of the authors"
)


@dataclass(frozen=True)
class ReportedAccuracy:
    """A top-1 accuracy that somebody printed for a family; nobody measured it here.

    Attributes:
        dataset: Say ``"NTU60"``.
        split: Say ``"xsub"``.
        streams: What was fused, say ``"joint"`` or ``"four streams"``.
        top1: Percent.
        source: Who printed it, and where.
    """

    dataset: str
    split: str
    streams: str
    top1: float
    source: str


@dataclass(frozen=True)
class ModelCard:
    """Where a model family comes from and what it reaches.

    Attributes:
        name: The name that ``create_model`` takes.
        title: The name that people write.
        paper: Authors, title, venue and year.
        arxiv: Number at arxiv.org, empty if there is none.
        code: The authors' code as ``owner/repository@commit``, empty if there is none.
        code_licence: Licence of the authors' code.
        licence: Licence of the implementation here, and how it came about.
        num_parameters: Numbers that the authors count as trained, with 60 classes, NTU's 25 joints
            and the default options.
        reported: Accuracies that others printed.
        pipeline: The preprocessing that the authors trained on, or the nearest that is here.
        pipeline_is_nearest: That preprocessing is not implemented; ``pipeline`` is the closest.
        traits: What the network mixes, and which lengths of clips it takes.
        traits_of: Traits from the options, where they depend on them; ``traits`` are those of the
            defaults.
        options: The keywords that the builder takes beyond the common ones; where none are
            listed, ``register_model`` reads them off the builder.
    """

    name: str
    title: str
    paper: str = ""
    arxiv: str = ""
    code: str = ""
    code_licence: str = ""
    licence: str = CLEAN_ROOM
    num_parameters: int | None = None
    reported: tuple[ReportedAccuracy, ...] = ()
    pipeline: str = "ctrgcn"
    pipeline_is_nearest: bool = False
    traits: FamilyTraits = field(default_factory=FamilyTraits)
    traits_of: Callable[[Mapping[str, Any]], FamilyTraits] | None = None
    options: tuple[ModelOption, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """The facts of the card, as plain containers."""
        return {name: value for name, value in asdict(self).items() if name != "traits_of"}

    def traits_with(self, options: Mapping[str, Any]) -> FamilyTraits:
        """The traits of a network with these options; defaults stand for those not given.

        Option ``causal`` makes the network of any family causal that has it.
        """
        chosen = {**{option.name: option.default for option in self.options}, **options}
        traits = self.traits if self.traits_of is None else self.traits_of(chosen)
        return replace(traits, causal=True) if chosen.get("causal") else traits
