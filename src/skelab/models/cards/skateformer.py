"""The card of SkateFormer."""

from skelab.models.card import ModelCard
from skelab.models.cards._skate import (
    ATTENTION_DROPOUT,
    BIAS_BY_JOINT,
    DROP_PATH,
    FRAMES_MULTIPLE,
    SCALE_BY_HEADS,
)
from skelab.models.options import DROPOUT, ModelOption
from skelab.models.traits import FamilyTraits

SKATEFORMER = ModelCard(
    name="skateformer",
    title="SkateFormer",
    paper="Do, Kim: SkateFormer: Skeletal-Temporal Transformer for Human Action Recognition."
    " ECCV 2024",
    arxiv="2403.09508",
    code="KAIST-VICLab/SkateFormer@1f1d9ffc2385bec0b49b6751e34b6469fad8563b",
    code_licence="MIT by its LICENSE file; its README says for research and education only",
    num_parameters=3_616_083,
    pipeline="ctrgcn",
    traits=FamilyTraits(bodies_mix=True, frames_multiple_of=FRAMES_MULTIPLE),
    options=(
        DROPOUT,
        ModelOption("width", 96, "channels of the first stage; a multiple of 32"),
        ModelOption("depth", 2, "blocks of each of the four stages"),
        ATTENTION_DROPOUT,
        DROP_PATH,
        BIAS_BY_JOINT,
        SCALE_BY_HEADS,
    ),
)

CARDS = (SKATEFORMER,)
