"""Skeleton Action Lab: action recognition from human skeletons, on one ordinary machine.

The public face is ``__all__``. Names are loaded when they are first used, so that ``import
skelab`` costs nothing and needs no PyTorch until a network does.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from skelab._version import __version__

if TYPE_CHECKING:
    from skelab.data.clips.clip import BodyTrack, Clip, RawClip, SampleInfo
    from skelab.data.clips.sequence import Segment, UntrimmedSequence
    from skelab.data.clips.store import ClipStore, open_store, write_store
    from skelab.data.datasets import (
        get_dataset,
        list_datasets,
        list_splits,
        open_source,
        parse_split,
    )
    from skelab.data.feeding.dataset import ClipDataset
    from skelab.data.ingest import ingest
    from skelab.data.opened import OpenedClips, open_clips
    from skelab.data.recordings.skeleton_file import read_skeleton_file
    from skelab.data.segments import read_segments
    from skelab.errors import SkelabError
    from skelab.evaluation import Scores, evaluate_scores
    from skelab.export import export_checkpoint
    from skelab.inference import (
        Network,
        NetworkSpec,
        Prediction,
        load_checkpoint,
        open_network,
        predict,
        read_checkpoint,
    )
    from skelab.models import create_model, export_weights, import_weights, list_models
    from skelab.recipes import Recipe, list_recipes, load_recipe
    from skelab.runs.anticipate import Anticipation, anticipate
    from skelab.runs.evaluate import evaluate_run
    from skelab.runs.train import train_recipe
    from skelab.skeleton import Layout, get_layout, list_layouts

__all__ = [
    "Anticipation",
    "BodyTrack",
    "Clip",
    "ClipDataset",
    "ClipStore",
    "Layout",
    "Network",
    "NetworkSpec",
    "OpenedClips",
    "Prediction",
    "RawClip",
    "Recipe",
    "SampleInfo",
    "Scores",
    "Segment",
    "SkelabError",
    "UntrimmedSequence",
    "__version__",
    "anticipate",
    "create_model",
    "evaluate_run",
    "evaluate_scores",
    "export_checkpoint",
    "export_weights",
    "get_dataset",
    "get_layout",
    "import_weights",
    "ingest",
    "list_datasets",
    "list_layouts",
    "list_models",
    "list_recipes",
    "list_splits",
    "load_checkpoint",
    "load_recipe",
    "open_clips",
    "open_network",
    "open_source",
    "open_store",
    "parse_split",
    "predict",
    "read_checkpoint",
    "read_segments",
    "read_skeleton_file",
    "train_recipe",
    "write_store",
]

_MODULES = {
    "skelab.recipes": ("Recipe", "list_recipes", "load_recipe"),
    "skelab.data.clips.clip": ("BodyTrack", "Clip", "RawClip", "SampleInfo"),
    "skelab.data.feeding.dataset": ("ClipDataset",),
    "skelab.data.ingest": ("ingest",),
    "skelab.data.opened": ("OpenedClips", "open_clips"),
    "skelab.data.recordings.skeleton_file": ("read_skeleton_file",),
    "skelab.data.segments": ("read_segments",),
    "skelab.data.clips.sequence": ("Segment", "UntrimmedSequence"),
    "skelab.data.datasets": (
        "get_dataset",
        "list_datasets",
        "list_splits",
        "open_source",
        "parse_split",
    ),
    "skelab.data.clips.store": ("ClipStore", "open_store", "write_store"),
    "skelab.errors": ("SkelabError",),
    "skelab.evaluation": ("Scores", "evaluate_scores"),
    "skelab.runs.anticipate": ("Anticipation", "anticipate"),
    "skelab.runs.evaluate": ("evaluate_run",),
    "skelab.runs.train": ("train_recipe",),
    "skelab.export": ("export_checkpoint",),
    "skelab.models": ("create_model", "export_weights", "import_weights", "list_models"),
    "skelab.skeleton": ("Layout", "get_layout", "list_layouts"),
    "skelab.inference": (
        "Network",
        "NetworkSpec",
        "Prediction",
        "load_checkpoint",
        "open_network",
        "predict",
        "read_checkpoint",
    ),
}
_HOMES = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> Any:
    """Load a public name from its room when it is first used."""
    if name not in _HOMES:
        raise AttributeError(f"module 'skelab' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
