"""The card of FreqMixFormer."""

from collections.abc import Mapping
from typing import Any

from skelab.models.card import ModelCard
from skelab.models.options import DROPOUT, ModelOption
from skelab.models.traits import FamilyTraits

_FRAMES = 64


def _traits(options: Mapping[str, Any]) -> FamilyTraits:
    return FamilyTraits(min_frames=options["frames"], max_frames=options["frames"])


FREQMIXFORMER = ModelCard(
    name="freqmixformer",
    title="FreqMixFormer",
    paper="Wu, Zheng, Yang, Chen, Das, Lu: Frequency Guidance Matters: Skeletal Action Recognition"
    " by Frequency-Aware Mixed Transformer. ACM MM 2024",
    arxiv="2407.12322",
    code="wenhanwu95/FreqMixFormer@1e9f1bc48269b2d8a99c312dcd15d9c91991f8b8",
    code_licence="none stated",
    num_parameters=2_065_048,
    pipeline="ctrgcn",
    traits=FamilyTraits(min_frames=_FRAMES, max_frames=_FRAMES),
    options=(
        DROPOUT,
        ModelOption("width", 80, "channels of the first four blocks; a multiple of 20"),
        ModelOption("frames", _FRAMES, "length of the clips that it is made for; a multiple of 4"),
        ModelOption(
            "hops",
            8,
            "show each joint relative to the one so many bones nearer to the middle of the spine;"
            " more than the skeleton is deep show joints as they are; 1, 2 and 8 with the authors",
        ),
    ),
    traits_of=_traits,
)

CARDS = (FREQMIXFORMER,)
