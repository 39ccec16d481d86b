"""The card of ST-GCN++."""

from skelab.models.card import ModelCard, ReportedAccuracy
from skelab.models.cards._pyskl import PYSKL_CODE, PYSKL_LICENCE, PYSKL_TABLE
from skelab.models.options import DROPOUT, ModelOption

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
    reported=(
        ReportedAccuracy("NTU60", "xsub", "joint", 89.3, PYSKL_TABLE),
        ReportedAccuracy("NTU60", "xsub", "four streams", 92.1, PYSKL_TABLE),
        ReportedAccuracy("NTU60", "xview", "joint", 95.6, PYSKL_TABLE),
        ReportedAccuracy("NTU60", "xview", "four streams", 97.0, PYSKL_TABLE),
        ReportedAccuracy("NTU120", "xsub", "joint", 83.2, PYSKL_TABLE),
        ReportedAccuracy("NTU120", "xset", "joint", 85.6, PYSKL_TABLE),
    ),
    options=(
        DROPOUT,
        ModelOption("width", 64, "channels of the first four blocks; at least 6"),
    ),
)

CARDS = (STGCNPP,)
