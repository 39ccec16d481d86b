"""The card of DG-STGCN."""

from skelab.models.card import ModelCard
from skelab.models.cards._dynamic import ONE_STRENGTH
from skelab.models.cards._pyskl import PYSKL_CODE, PYSKL_LICENCE
from skelab.models.options import DROPOUT, ModelOption
from skelab.models.published import published_figures

DGSTGCN = ModelCard(
    name="dgstgcn",
    title="DG-STGCN",
    paper="Duan, Wang, Chen, Lin: DG-STGCN: Dynamic Spatial-Temporal Modeling for Skeleton-based"
    " Action Recognition. 2022",
    arxiv="2210.05895",
    code=PYSKL_CODE,
    code_licence=PYSKL_LICENCE,
    num_parameters=1_701_172,
    pipeline="pyskl-centred",
    reported=published_figures("dgstgcn"),
    options=(
        DROPOUT,
        ModelOption("width", 64, "channels of the first four blocks; at least 8"),
        ONE_STRENGTH,
    ),
)

CARDS = (DGSTGCN,)
