"""The card of ProtoGCN."""

from skelab.models.card import ModelCard
from skelab.models.cards._dynamic import ONE_STRENGTH
from skelab.models.cards._reported import reported_on_ntu
from skelab.models.options import DROPOUT, ModelOption

_README = "the README of the authors' repository"
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
    reported=(
        *reported_on_ntu("joint", 91.54, 96.33, 85.52, 88.35, source=_README),
        *reported_on_ntu("bone", 91.98, 96.15, 88.96, 90.01, source=_README),
        *reported_on_ntu("joint and bone", 92.96, 97.23, 89.75, 91.23, source=_README),
        *reported_on_ntu("four streams", 93.53, 97.49, 90.43, 91.86, source=_README),
        *reported_on_ntu("six streams", 93.81, 97.76, 90.92, 92.16, source=_README),
    ),
    options=(
        DROPOUT,
        ModelOption("width", 96, "channels of the first four blocks; a multiple of 8"),
        ModelOption("num_prototypes", 400, "prototypes of which graphs are built"),
        ONE_STRENGTH,
    ),
)

CARDS = (PROTOGCN,)
