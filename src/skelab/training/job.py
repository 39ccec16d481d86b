"""The job of a run: everything that determines its result."""

from dataclasses import dataclass, field
from pathlib import Path

from jaxtyping import Int64
from numpy import ndarray

from skelab.data.feeding.dataset import ClipSource
from skelab.data.feeding.feeder import Feeder
from skelab.fusion import FusionSpec
from skelab.inference.checkpoint import InputSpec
from skelab.inference.places import CHECKPOINTS, CHOSEN
from skelab.models import ModelSpec
from skelab.tasks import TaskSpec
from skelab.training.config import MemoryConfig, Precision, TrainingConfig, TransferConfig
from skelab.training.transfer import SourceWeights


@dataclass(frozen=True)
class TrainingJob:
    """Everything that determines a run; equal jobs give equal weights on a CPU.

    Attributes:
        model: Specification of the network.
        inputs: Description of the network's input, for the checkpoints.
        source: The clips.
        train_rows: Rows of the training part.
        validation_rows: Rows on which the epoch is chosen; if empty, the last epoch is kept.
        feeder: Shapes the clips.
        config: Optimiser, schedule, length, seed.
        run: Run folder.
        memory: Trade-offs that save memory.
        precision: Number format.
        workers: Loader processes; 0 loads in this one.
        recipe: The resolved recipe as YAML, for the checkpoints.
        protocol: ``honest`` or ``paper``, for the checkpoints.
        task: What is predicted.
        transfer: Freezing, and the rates of blocks.
        fusion: How the network takes side-cars; None if it takes none.
        start: Trained weights that a new run starts from; None keeps what it draws.
    """

    model: ModelSpec
    inputs: InputSpec
    source: ClipSource
    train_rows: Int64[ndarray, " A"]
    validation_rows: Int64[ndarray, " B"]
    feeder: Feeder
    config: TrainingConfig
    run: Path
    memory: MemoryConfig = field(default_factory=MemoryConfig)
    precision: Precision = Precision.FP32
    workers: int = 0
    recipe: str = ""
    protocol: str = "honest"
    task: TaskSpec = field(default_factory=TaskSpec)
    transfer: TransferConfig = field(default_factory=TransferConfig)
    start: SourceWeights | None = None
    fusion: FusionSpec | None = None

    @property
    def checkpoints(self) -> Path:
        """The folder of the checkpoints."""
        return self.run / CHECKPOINTS

    @property
    def chosen(self) -> Path:
        """The checkpoint that the protocol chooses; the one to evaluate."""
        return self.checkpoints / CHOSEN
