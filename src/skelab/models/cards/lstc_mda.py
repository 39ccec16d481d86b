"""The card of LSTC-MDA."""

from collections.abc import Mapping
from typing import Any

from skelab.models.card import ModelCard
from skelab.models.cards._skate import (
    ATTENTION_DROPOUT,
    BIAS_BY_JOINT,
    DROP_PATH,
    FRAMES_MULTIPLE,
    SCALE_BY_HEADS,
)
from skelab.models.options import DROPOUT, ModelOption
from skelab.models.published import published_figures
from skelab.models.traits import FamilyTraits


def _traits(options: Mapping[str, Any]) -> FamilyTraits:
    frames = options["frames"]
    return FamilyTraits(bodies_mix=True, min_frames=frames, max_frames=frames)


LSTC_MDA = ModelCard(
    name="lstc_mda",
    title="LSTC-MDA",
    paper="Ding, Fu, Oraki, Liang: LSTC-MDA: A Unified Framework for Long-Short Term Temporal"
    " Convolution and Mixed Data Augmentation in Skeleton-Based Action Recognition. 2025",
    arxiv="2509.14619",
    code="xiaobaoxia/LSTC-MDA@67beac62de0f7e9dfd450058e7596ea8ad1e49b9",
    code_licence="Apache-2.0",
    num_parameters=4_908_051,
    pipeline="ctrgcn",
    traits=FamilyTraits(bodies_mix=True, min_frames=FRAMES_MULTIPLE, max_frames=FRAMES_MULTIPLE),
    reported=published_figures("lstc_mda"),
    options=(
        DROPOUT,
        ModelOption("width", 96, "channels of the first stage; a multiple of 32"),
        ModelOption("depth", 2, "blocks of each of the four stages"),
        ModelOption(
            "frames", FRAMES_MULTIPLE, "length of the clips that it is made for; a multiple of 64"
        ),
        ATTENTION_DROPOUT,
        DROP_PATH,
        BIAS_BY_JOINT,
        SCALE_BY_HEADS,
    ),
    traits_of=_traits,
)

CARDS = (LSTC_MDA,)
