"""What a new run starts from: trained weights in a network that has just drawn its own."""

from typing import Any

from torch import nn

from skelab.errors import TrainingError
from skelab.training.groups import frozen_norms
from skelab.training.job import TrainingJob
from skelab.training.transfer import MappedWeights, SourceWeights, map_weights


def load_start(job: TrainingJob, network: nn.Module) -> MappedWeights | None:
    """Load the trained weights that a run starts from; None if it keeps what it has drawn.

    Args:
        job: The run.
        network: Its network as its seed has drawn it; is changed in place.

    Raises:
        TrainingError: The run was started from weights that nobody gives now.
        CheckpointError: The weights belong to another family.
        LayoutError: The layouts have too few joints in common.
        WeightsError: The shapes differ for another reason.
    """
    if job.start is None:
        if job.transfer.source:
            raise TrainingError(
                f"{job.run}: there is no checkpoint yet, so the run would start again from"
                f" {job.transfer.source}; give its place, --from RUN or --from CHECKPOINT"
            )
        return None
    mapped = map_weights(
        job.start,
        job.model,
        job.inputs.classes,
        network.state_dict(),
        task=job.task,
        statistics=job.transfer.statistics,
    )
    network.load_state_dict(dict(mapped.weights))
    return mapped


def check_frozen(job: TrainingJob, mapped: MappedWeights, network: nn.Module) -> None:
    """Refuse to freeze what nobody has trained.

    Args:
        job: The run.
        mapped: What became of each tensor of its network.
        network: Its network; what is frozen takes no gradient.

    Raises:
        TrainingError: A frozen parameter is new, or a frozen batch norm has no statistics.
    """
    config = job.transfer
    if not config.freeze:
        return
    frozen = {name for name, value in network.named_parameters() if not value.requires_grad}
    fresh = [tensor.name for tensor in mapped.fresh if tensor.name in frozen]
    if fresh:
        raise TrainingError(
            f"--freeze {' '.join(config.freeze)}: {len(fresh)} of the frozen parameters are new"
            f" here and would stay as drawn, {fresh[0]} the first of them; leave them out"
        )
    norms = frozen_norms(network)
    if norms and config.statistics == "fresh":
        raise TrainingError(
            f"transfer.statistics=fresh: {len(norms)} batch norms are frozen, {norms[0]} the first"
            " of them, and would have no statistics; leave them taken, or freeze other parameters"
        )


def describe_start(job: TrainingJob, mapped: MappedWeights | None) -> dict[str, Any]:
    """What checkpoints say of where a run started; empty for one that keeps what it has drawn."""
    start: SourceWeights | None = job.start
    if start is None or mapped is None:
        return {}
    return {
        "file": job.transfer.source,
        "digest": start.digest,
        **start.facts,
        "taken": mapped.summary(),
        "notes": list(mapped.notes),
    }
