"""The card of DG-STGCN."""

from skelab.models.card import ModelCard
from skelab.models.cards._dynamic import ONE_STRENGTH
from skelab.models.cards._pyskl import PYSKL_CODE, PYSKL_LICENCE, PYSKL_TABLE
from skelab.models.cards._reported import reported_on_ntu
from skelab.models.options import DROPOUT, ModelOption

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
    reported=(
        *reported_on_ntu("joint", 91.2, 96.7, 85.7, 87.9, source=PYSKL_TABLE),
        *reported_on_ntu("bone", 91.6, 96.1, 88.0, 89.8, source=PYSKL_TABLE),
        *reported_on_ntu("joint and bone", 92.9, 97.4, 89.3, 91.2, source=PYSKL_TABLE),
        *reported_on_ntu("four streams", 93.2, 97.5, 89.6, 91.3, source=PYSKL_TABLE),
    ),
    options=(
        DROPOUT,
        ModelOption("width", 64, "channels of the first four blocks; at least 8"),
        ONE_STRENGTH,
    ),
)

CARDS = (DGSTGCN,)
