"""The card of AAGCN."""

from skelab.models.card import ModelCard, ReportedAccuracy
from skelab.models.cards._pyskl import PYSKL_CODE, PYSKL_LICENCE, PYSKL_TABLE
from skelab.models.options import DROPOUT, ModelOption

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
    reported=(
        ReportedAccuracy("NTU60", "xsub", "joint", 89.0, PYSKL_TABLE),
        ReportedAccuracy("NTU60", "xsub", "four streams", 91.5, PYSKL_TABLE),
        ReportedAccuracy("NTU60", "xview", "joint", 95.7, PYSKL_TABLE),
        ReportedAccuracy("NTU60", "xview", "four streams", 96.7, PYSKL_TABLE),
        ReportedAccuracy("NTU120", "xsub", "joint", 82.8, PYSKL_TABLE),
        ReportedAccuracy("NTU120", "xset", "joint", 84.8, PYSKL_TABLE),
    ),
    options=(
        DROPOUT,
        ModelOption("width", 64, "channels of the first four blocks; a multiple of 4"),
    ),
)

CARDS = (AAGCN,)
