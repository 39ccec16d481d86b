"""The card of AAGCN."""

from skelab.models.card import ModelCard
from skelab.models.cards._pyskl import PYSKL_CODE, PYSKL_LICENCE
from skelab.models.options import DROPOUT, ModelOption
from skelab.models.published import published_figures

AAGCN = ModelCard(
    name="aagcn",
    title="AAGCN (2s-AGCN with attention)",
    paper="Shi, Zhang, Cheng, Lu: Skeleton-Based Action Recognition with Multi-Stream Adaptive"
    " Graph Convolutional Networks. IEEE TIP 2020; the form of PYSKL (arXiv:2205.09443)",
    arxiv="1912.06971",
    code=PYSKL_CODE,
    code_licence=PYSKL_LICENCE,
    num_parameters=3_781_668,
    pipeline="pyskl",
    reported=published_figures("aagcn"),
    options=(
        DROPOUT,
        ModelOption("width", 64, "channels of the first four blocks; a multiple of 4"),
    ),
)

CARDS = (AAGCN,)
