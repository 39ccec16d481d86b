"""The card of ProtoGCN."""

from skelab.models.card import ModelCard
from skelab.models.cards._dynamic import ONE_STRENGTH
from skelab.models.options import DROPOUT, ModelOption
from skelab.models.published import published_figures

PROTOGCN = ModelCard(
    name="protogcn",
    title="ProtoGCN",
    paper="Liu, Liu, Ren, Wang, Wang, Sun: Revealing Key Details to See Differences: A Novel"
    " Prototypical Perspective for Skeleton-based Action Recognition. CVPR 2025",
    arxiv="2411.18941",
    code="firework8/ProtoGCN@ddf7f274f9f5d9e45a2fcfeb299bfb3fd7c2303d",
    code_licence="MIT",
    num_parameters=4_344_860,
    pipeline="pyskl-centred",
    reported=published_figures("protogcn"),
    options=(
        DROPOUT,
        ModelOption("width", 96, "channels of the first four blocks; a multiple of 8"),
        ModelOption("num_prototypes", 400, "prototypes of which graphs are built"),
        ONE_STRENGTH,
    ),
)

CARDS = (PROTOGCN,)
