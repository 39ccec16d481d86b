"""What an exported file says of itself, so that it can be used with nothing else."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Final

from pydantic import ValidationError

from skelab.data.feeding.feeder import FeederConfig
from skelab.errors import ExportError, LayoutError, ModelError
from skelab.inference.checkpoint import Checkpoint, InputSpec
from skelab.models import FamilyTraits, ModelSpec, get_card
from skelab.skeleton import Layout

FORMAT: Final = 1
METADATA_KEY: Final = "skelab"
"""Where the description stands in a file: an entry of ONNX's metadata, of OpenVINO's run-time
info, or the extra file ``skelab.json`` of torch.export."""

FEWEST_FRAMES: Final = 8
"""Shortest clips that a graph of any length is made for."""

INPUT_NAME: Final = "clips"
OUTPUT_NAME: Final = "logits"


@dataclass(frozen=True)
class ExportMetadata:
    """A network as others use it: what to show it, and what its outputs mean.

    Attributes:
        model: The family, and what it was made with; has the whole layout.
        title: The family's name as people write it.
        inputs: Pipeline, units, data set, class names, and how the feeder shapes clips.
        checkpoint: Digest of the checkpoint.
        epoch: Epochs that were trained; 0 where nobody knows.
        protocol: How the epoch was chosen, ``honest`` or ``paper``.
        target: ``onnx``, ``openvino`` or ``torch``; ``checkpoint`` where nothing was exported.
        precision: ``fp32`` or ``int8``.
        dynamic_frames: The network takes clips of other lengths than the feeder's window, too.
        frames_multiple_of: T must be a multiple of this.
        min_frames: T must be at least this.
        max_frames: T must be at most this; None sets no limit.
        calibration: For int8, digest of the clips' store and the number of clips.
        versions: Versions of what wrote the file.
    """

    model: ModelSpec
    title: str
    inputs: InputSpec
    checkpoint: str
    epoch: int
    protocol: str
    target: str
    precision: str = "fp32"
    dynamic_frames: bool = False
    frames_multiple_of: int = 1
    min_frames: int = 1
    max_frames: int | None = None
    calibration: Mapping[str, Any] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)

    @property
    def layout(self) -> Layout:
        """The joints."""
        return self.model.layout

    @property
    def classes(self) -> tuple[str, ...]:
        """The name of each class, in the order of the logits."""
        return self.inputs.classes

    @property
    def synthetic(self) -> bool:
        """Whether the network was trained on clips that a program has made."""
        return self.inputs.synthetic

    @property
    def traits(self) -> FamilyTraits:
        """The lengths of clips that the family takes; of what mixes, nothing is known."""
        return FamilyTraits(
            frames_multiple_of=self.frames_multiple_of,
            min_frames=self.min_frames,
            max_frames=self.max_frames,
        )

    @property
    def graph_lengths(self) -> FamilyTraits:
        """The lengths that a graph with ``dynamic_frames`` takes: from ``FEWEST_FRAMES`` on."""
        return replace(self.traits, min_frames=max(self.min_frames, FEWEST_FRAMES))

    @property
    def window(self) -> int:
        """Frames of an input, T, as the feeder makes them."""
        return self.inputs.feeder.window

    def shape(self, clips: int = 1, frames: int | None = None) -> tuple[int, int, int, int, int]:
        """The shape N C T V M of an input."""
        return (
            clips,
            self.model.in_channels,
            frames or self.window,
            self.layout.num_joints,
            self.model.max_bodies,
        )

    def to_json(self) -> str:
        """The text that stands in the file, on one line."""
        feeder = self.inputs.feeder.model_dump(mode="json")
        content = {
            **asdict(self),
            "inputs": {**asdict(self.inputs), "feeder": feeder},
            "format": FORMAT,
            "input": {"name": INPUT_NAME, "axes": ["clips", *_AXES]},
            "output": {"name": OUTPUT_NAME, "axes": ["clips", "classes"]},
        }
        return json.dumps(content, sort_keys=True)

    @classmethod
    def from_json(cls, text: str, where: str) -> "ExportMetadata":
        """Read the text back.

        Args:
            text: What :meth:`to_json` gave.
            where: What to call the file in messages.

        Raises:
            ExportError: It is not of this format.
        """
        try:
            content = dict(json.loads(text))
            if (found := content.pop("format")) != FORMAT:
                raise ValueError(f"expected format {FORMAT}, found {found!r}")
            content.pop("input"), content.pop("output")
            model, inputs = dict(content.pop("model")), dict(content.pop("inputs"))
            return cls(
                model=ModelSpec(layout=Layout.from_dict(model.pop("layout")), **model),
                inputs=InputSpec(
                    classes=tuple(map(str, inputs.pop("classes"))),
                    feeder=FeederConfig.model_validate(inputs.pop("feeder")),
                    **inputs,
                ),
                **content,
            )
        except (ValueError, KeyError, TypeError, ValidationError, LayoutError) as error:
            reason = " ".join(str(error).split())[:200]
            raise ExportError(
                f"{where}: expected the description that `skelab export` writes into a file,"
                f" found a fault: {reason}"
            ) from None


_AXES: Final = ("channels", "frames", "joints", "bodies")


def describe_checkpoint(checkpoint: Checkpoint, *, target: str = "checkpoint") -> ExportMetadata:
    """What a checkpoint says of its network, in the words of an exported file."""
    try:
        card = get_card(checkpoint.model.name)
        title, traits = card.title, card.traits
    except ModelError:
        title, traits = checkpoint.model.name, FamilyTraits()
    return ExportMetadata(
        model=checkpoint.model,
        title=title,
        inputs=checkpoint.inputs,
        checkpoint=checkpoint.digest,
        epoch=checkpoint.epoch,
        protocol=checkpoint.protocol,
        target=target,
        frames_multiple_of=traits.frames_multiple_of,
        min_frames=traits.min_frames,
        max_frames=traits.max_frames,
    )
