"""What a run folder says of its run from the first moment on."""

import json
from typing import Final

from skelab.files.atomic import atomic_write
from skelab.host.environment import describe_environment
from skelab.inference.places import RECIPE
from skelab.training.learner import Learner
from skelab.training.records import ENVIRONMENT

TRANSFER: Final = "transfer.json"
"""What a run took from trained weights, tensor by tensor."""


def describe_run(learner: Learner) -> None:
    """Write what a new run is; the recipe last, since a folder with a recipe holds a run.

    Raises:
        OutputError: The disk is full or the folder cannot be written.
    """
    job, inputs = learner.job, learner.job.inputs
    data = {
        "dataset": inputs.dataset,
        "classes": len(inputs.classes),
        "pipeline": inputs.pipeline,
        "units": inputs.units,
        "digest": inputs.digest,
        "synthetic": inputs.synthetic,
    }
    described = {ENVIRONMENT: {**describe_environment(), "data": data}}
    if learner.initial is not None:
        described[TRANSFER] = {"from": dict(learner.origin), **learner.initial.to_dict()}
    texts = {name: json.dumps(content, indent=2) + "\n" for name, content in described.items()}
    for name, text in {**texts, RECIPE: job.recipe}.items():
        with atomic_write(job.run / name) as temporary:
            temporary.write_text(text, encoding="utf-8")
