"""The card of CTR-GCN."""

from skelab.models.card import ModelCard
from skelab.models.options import CAUSAL, DROPOUT, HORIZON, ModelOption
from skelab.models.published import published_figures

CTRGCN = ModelCard(
    name="ctrgcn",
    title="CTR-GCN",
    paper="Chen, Zhang, Yuan, Li, Deng, Hu: Channel-wise Topology Refinement Graph Convolution for"
    " Skeleton-Based Action Recognition. ICCV 2021",
    arxiv="2107.12213",
    code="Uason-Chen/CTR-GCN@e13d7582e281d06711eeecb380a472b278ae1663",
    code_licence="CC BY-NC 4.0",
    num_parameters=1_446_672,
    pipeline="ctrgcn",
    reported=published_figures("ctrgcn"),
    options=(
        DROPOUT,
        ModelOption("width", 64, "channels of the first four blocks; a multiple of 4"),
        CAUSAL,
        HORIZON,
    ),
)

CARDS = (CTRGCN,)
