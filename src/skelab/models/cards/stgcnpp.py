"""The card of ST-GCN++."""

from skelab.models.card import ModelCard
from skelab.models.cards._pyskl import PYSKL_CODE, PYSKL_LICENCE
from skelab.models.options import DROPOUT, ModelOption
from skelab.models.published import published_figures

STGCNPP = ModelCard(
    name="stgcnpp",
    title="ST-GCN++",
    paper="Duan, Wang, Chen, Lin: PYSKL: Towards Good Practices for Skeleton Action Recognition."
    " ACM MM 2022",
    arxiv="2205.09443",
    code=PYSKL_CODE,
    code_licence=PYSKL_LICENCE,
    num_parameters=1_403_144,
    pipeline="pyskl",
    reported=published_figures("stgcnpp"),
    options=(
        DROPOUT,
        ModelOption("width", 64, "channels of the first four blocks; at least 6"),
    ),
)

CARDS = (STGCNPP,)
