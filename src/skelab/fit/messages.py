"""JSON wire format of the workers: configurations and traces."""

from dataclasses import asdict
from typing import Any, Final

import numpy as np
from pydantic import TypeAdapter

from skelab.fit.figures import Configuration
from skelab.fit.operators import Operators
from skelab.fit.storage import Category, Lives
from skelab.fit.trace import Trace
from skelab.recipes import parse_recipe
from skelab.skeleton import Layout

Message = dict[str, Any]

_LAYOUT: Final = TypeAdapter(Layout)


def configuration_to_json(configuration: Configuration) -> Message:
    """A configuration as a JSON object."""
    layout = configuration.layout
    return {
        "recipe": configuration.recipe.to_yaml(),
        "layout": layout if isinstance(layout, str) else asdict(layout),
        "classes": configuration.num_classes,
        "bodies": configuration.bodies,
    }


def configuration_from_json(message: Message) -> Configuration:
    """The configuration in a JSON object; other keys are ignored."""
    recipe = parse_recipe(message["recipe"])
    layout = message["layout"]
    if not isinstance(layout, str):
        layout = _LAYOUT.validate_python(layout)
    return Configuration(recipe, layout, message["classes"], message["bodies"])


def trace_to_json(trace: Trace) -> Message:
    """A trace as a JSON object."""
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


def trace_from_json(message: Message) -> Trace:
    """The trace in a JSON object of :func:`trace_to_json`."""
    lives, operators = message["lives"], message["operators"]
    return Trace(
        Lives(
            sizes=np.array(lives["sizes"], dtype=np.int64),
            born=np.array(lives["born"], dtype=np.int64),
            died=np.array(lives["died"], dtype=np.int64),
            parts=tuple(map(Category, lives["parts"])),
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
