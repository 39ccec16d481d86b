"""The card of Hyper-GCN (base)."""

from skelab.models.card import ModelCard
from skelab.models.options import DROPOUT, ModelOption
from skelab.models.published import published_figures

HYPERGCN = ModelCard(
    name="hypergcn",
    title="Hyper-GCN (base)",
    paper="Zhou, Xu, Wu, Wu, Kittler: Adaptive Hyper-Graph Convolution Network for Skeleton-based"
    " Human Action Recognition with Virtual Connections. ICCV 2025",
    arxiv="2411.14796",
    code="6UOOON9/Hyper-GCN@cefe70b9c62ab825722cc8ece3fa26ecf5c334a1",
    code_licence="none stated",
    num_parameters=1_041_677,
    pipeline="ctrgcn",
    reported=published_figures("hypergcn"),
    options=(
        DROPOUT,
        ModelOption("width", 128, "channels of the first three blocks; a multiple of 32"),
        ModelOption("num_virtual", 3, "virtual joints of each block"),
    ),
)

CARDS = (HYPERGCN,)
