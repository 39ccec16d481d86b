"""Configurations that are traced and run in a moment."""

from skelab.fit.figures import Configuration
from skelab.recipes import load_recipe

FAMILIES = (
    "aagcn",
    "blockgcn",
    "ctrgcn",
    "dgstgcn",
    "freqmixformer",
    "hdgcn",
    "hypergcn",
    "infogcn",
    "lstc_mda",
    "msg3d",
    "posec3d",
    "protogcn",
    "shiftgcn",
    "skateformer",
    "skeletonagent",
    "stgcn",
    "stgcn_official",
    "stgcnpp",
    "usdrl",
)


def short(name: str, *overrides: str, clips: int = 2, batch: int = 2) -> Configuration:
    """A recipe with clips of 16 frames, ``clips`` of them at once."""
    settings = ("data.window=16", f"training.batch_size={batch}", *overrides)
    return Configuration(load_recipe(name, settings), num_classes=7).with_micro_batch(clips)
