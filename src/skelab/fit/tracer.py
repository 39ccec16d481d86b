"""The process that traces ahead of the one that asks; see :mod:`skelab.fit.ahead`.

Speaks JSON, a line a message: a configuration comes, its trace is the answer.
"""

import json
import sys
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from skelab.bench.process import die_with_parent
from skelab.bench.worker import own_answers
from skelab.config import parse_recipe
from skelab.fit.figures import Configuration, NotTriedError
from skelab.fit.operators import Operators
from skelab.fit.storage import Lives, Part
from skelab.fit.trace import Trace, trace_inference, trace_training

Message = dict[str, Any]


def question(configuration: Configuration, *, training: bool, for_gpu: bool) -> Message:
    """What this process is asked."""
    return {
        "recipe": configuration.recipe.to_yaml(),
        "layout": configuration.layout,
        "classes": configuration.num_classes,
        "bodies": configuration.bodies,
        "training": training,
        "for_gpu": for_gpu,
    }


def answer(asked: Message) -> Message:
    """The trace, or why there is none."""
    try:
        recipe = parse_recipe(asked["recipe"])
        bodies, classes = asked["bodies"], asked["classes"]
        configuration = Configuration(recipe, asked["layout"], classes, bodies)
        trace = trace_training if asked["training"] else trace_inference
        return to_message(trace(configuration, for_gpu=asked["for_gpu"]))
    except NotTriedError as error:
        return {"error": str(error)}


def to_message(trace: Trace) -> Message:
    """A trace as JSON can hold it."""
    lives, operators = trace.lives, trace.operators
    return {
        "clips": trace.clips,
        "lives": {
            "sizes": lives.sizes.tolist(),
            "born": lives.born.tolist(),
            "died": lives.died.tolist(),
            "parts": lives.parts,
            "events": lives.events,
            "loads": lives.loads,
        },
        "operators": {
            "names": operators.names,
            "flops": operators.flops.tolist(),
            "fixed_bytes": operators.fixed_bytes.tolist(),
            "clip_bytes": operators.clip_bytes.tolist(),
            "kernels": operators.kernels.tolist(),
            "is_half": operators.is_half.tolist(),
        },
    }


def from_message(message: Message) -> Trace:
    """The trace that :func:`to_message` was given."""
    lives, operators = message["lives"], message["operators"]
    return Trace(
        Lives(
            sizes=np.array(lives["sizes"], dtype=np.int64),
            born=np.array(lives["born"], dtype=np.int64),
            died=np.array(lives["died"], dtype=np.int64),
            parts=tuple(map(Part, lives["parts"])),
            events=lives["events"],
            loads=tuple((event, tuple(sizes)) for event, sizes in lives["loads"]),
        ),
        Operators(
            names=tuple(operators["names"]),
            flops=np.array(operators["flops"], dtype=np.float64),
            fixed_bytes=np.array(operators["fixed_bytes"], dtype=np.float64),
            clip_bytes=np.array(operators["clip_bytes"], dtype=np.float64),
            kernels=np.array(operators["kernels"], dtype=np.int64),
            is_half=np.array(operators["is_half"], dtype=np.bool_),
        ),
        message["clips"],
    )


def serve(questions: Iterable[str], write: Callable[[str], object]) -> None:
    """Answer, until the lines end."""
    for line in questions:
        write(json.dumps(answer(json.loads(line))) + "\n")


def main() -> None:
    """Keep what libraries print away from the answers."""
    die_with_parent()
    serve(sys.stdin, own_answers().write)


if __name__ == "__main__":
    main()
