"""What a run is: everything that decides how it ends."""

from dataclasses import dataclass, field
from pathlib import Path

from jaxtyping import Int64
from numpy import ndarray

from skelab.data.feeding.dataset import ClipSource
from skelab.data.feeding.feeder import Feeder
from skelab.inference.checkpoint import InputSpec
from skelab.inference.places import CHECKPOINTS, CHOSEN
from skelab.models import ModelSpec
from skelab.tasks import TaskSpec
from skelab.training.config import MemoryConfig, Precision, TrainingConfig, TransferConfig
from skelab.training.transfer import SourceWeights


@dataclass(frozen=True)
class TrainingJob:
    """Everything that a run needs; two runs of equal jobs give equal weights on a CPU.

    Attributes:
        model: What to build.
        inputs: What the checkpoints will say that the network must be shown.
        source: The clips.
        train_rows: Rows that train.
        validation_rows: Rows that choose the epoch; if empty, the last epoch is taken.
        feeder: Shapes the clips.
        config: Optimiser, schedule, length, seed.
        run: Folder of the run.
        memory: What is traded for memory.
        precision: Number format.
        workers: Processes that read clips ahead; 0 reads in this one.
        recipe: The whole recipe, YAML text, for the checkpoints.
        protocol: ``honest`` or ``paper``, for the checkpoints.
        task: What is predicted.
        transfer: What is frozen, and the rates of the blocks.
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

    @property
    def checkpoints(self) -> Path:
        """The folder of the checkpoints."""
        return self.run / CHECKPOINTS

    @property
    def chosen(self) -> Path:
        """The checkpoint that the protocol has chosen; the one to evaluate."""
        return self.checkpoints / CHOSEN
