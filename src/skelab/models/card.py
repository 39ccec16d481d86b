"""What a model family says of itself."""

from dataclasses import dataclass

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
class ModelOption:
    """A keyword that a family takes beyond classes, layout, channels and bodies.

    Attributes:
        name: The keyword.
        default: Its value unless given.
        meaning: What it does, and what it may be.
    """

    name: str
    default: object
    meaning: str


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
        options: The keywords that the builder takes beyond the common ones.
        frames_multiple_of: T must be a multiple of this.
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
    options: tuple[ModelOption, ...] = ()
    frames_multiple_of: int = 1
