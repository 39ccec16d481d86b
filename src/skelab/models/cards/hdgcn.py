"""The card of HD-GCN."""

from skelab.models.card import ModelCard
from skelab.models.options import DROPOUT, ModelOption

HDGCN = ModelCard(
    name="hdgcn",
    title="HD-GCN",
    paper="Lee, Lee, Lee, Lee: Hierarchically Decomposed Graph Convolutional Networks for"
    " Skeleton-Based Action Recognition. ICCV 2023",
    arxiv="2208.10741",
    code="Jho-Yonsei/HD-GCN@672da2c3d84c9ea41dab124b7be8b3f82a83b6b2",
    code_licence="MIT",
    num_parameters=1_659_980,
    pipeline="ctrgcn",
    options=(
        DROPOUT,
        ModelOption("width", 64, "channels of the first four blocks; a multiple of 16"),
        ModelOption(
            "com",
            None,
            "number, from 1, of the joint that the levels are counted from, 1, 2 and 21 with the"
            " authors; unless given, the joint between the hips",
        ),
    ),
)

CARDS = (HDGCN,)
