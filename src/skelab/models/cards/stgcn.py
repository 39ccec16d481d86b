"""The cards of ST-GCN, as PYSKL rebuilt it and as its authors wrote it."""

from skelab.models.card import ModelCard
from skelab.models.cards._pyskl import PYSKL_CODE, PYSKL_LICENCE
from skelab.models.options import CAUSAL, DROPOUT, HORIZON, ModelOption
from skelab.models.published import published_figures

_PAPER = (
    "Yan, Xiong, Lin: Spatial Temporal Graph Convolutional Networks for Skeleton-Based Action"
    " Recognition. AAAI 2018"
)
_ARXIV = "1801.07455"
_PARAMETERS = 3_098_832
_TEMPORAL_DROPOUT = "dropout probability after each temporal convolution but the first"
_NEAR_SIGHTED = (
    "partition neighbours by distances to the centre that are capped at one hop, as the"
    " authors' code does; imported weights set it"
)

STGCN = ModelCard(
    name="stgcn",
    title="ST-GCN (PYSKL)",
    paper=f"{_PAPER}; the form of Duan, Wang, Chen, Lin: PYSKL. ACM MM 2022 (arXiv:2205.09443)",
    arxiv=_ARXIV,
    code=PYSKL_CODE,
    code_licence=PYSKL_LICENCE,
    num_parameters=_PARAMETERS,
    pipeline="pyskl",
    reported=published_figures("stgcn"),
    options=(
        DROPOUT,
        ModelOption("temporal_dropout", 0.0, _TEMPORAL_DROPOUT),
        ModelOption("width", 64, "channels of the first four blocks"),
        ModelOption("near_sighted_partition", False, _NEAR_SIGHTED),
        CAUSAL,
        HORIZON,
    ),
)

STGCN_OFFICIAL = ModelCard(
    name="stgcn_official",
    title="ST-GCN (its authors)",
    paper=_PAPER,
    arxiv=_ARXIV,
    code="yysijie/st-gcn@221c0e152054b8da593774c0d483e59befdb9061",
    code_licence="BSD-2-Clause",
    num_parameters=_PARAMETERS,
    pipeline="msg3d",
    pipeline_is_nearest=True,
    reported=published_figures("stgcn_official"),
    options=(
        DROPOUT,
        ModelOption("temporal_dropout", 0.5, _TEMPORAL_DROPOUT),
        ModelOption("width", 64, "channels of the first four blocks"),
        ModelOption("near_sighted_partition", False, _NEAR_SIGHTED),
        CAUSAL,
        HORIZON,
    ),
)

CARDS = (STGCN, STGCN_OFFICIAL)
