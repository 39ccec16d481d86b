"""The card of USDRL."""

from collections.abc import Mapping
from typing import Any

from skelab.models.card import ModelCard
from skelab.models.options import DROPOUT, ModelOption
from skelab.models.traits import FamilyTraits

_FRAMES = 64


def _traits(options: Mapping[str, Any]) -> FamilyTraits:
    frames = options["frames"]
    return FamilyTraits(bodies_mix=True, min_frames=frames, max_frames=frames)


USDRL = ModelCard(
    name="usdrl",
    title="USDRL (dense encoder)",
    paper="Weng et al.: USDRL: Unified Skeleton-Based Dense Representation Learning"
    " with Multi-Grained Feature Decorrelation. AAAI 2025",
    arxiv="2412.09220",
    code="wengwanjiang/FoundSkelModel@945fe917faf4310027aae82ada4299ffe508cb26",
    code_licence="MIT",
    num_parameters=57_260_308,
    pipeline="ctrgcn",
    pipeline_is_nearest=True,
    traits=FamilyTraits(bodies_mix=True, min_frames=_FRAMES, max_frames=_FRAMES),
    options=(
        DROPOUT,
        ModelOption("width", 1024, "channels of a token; a multiple of the heads"),
        ModelOption("heads", 1, "heads of each attention"),
        ModelOption("frames", _FRAMES, "clip length that the network is made for"),
        ModelOption("drop_path", 0.1, "probability of dropping a residual branch"),
    ),
    traits_of=_traits,
)

CARDS = (USDRL,)
