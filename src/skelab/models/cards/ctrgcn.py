"""The card of CTR-GCN."""

from skelab.models.card import ModelCard, ReportedAccuracy
from skelab.models.options import DROPOUT, ModelOption

_PAPER = "the paper"
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
    reported=(
        ReportedAccuracy("NTU60", "xsub", "joint", 89.9, "released weights, a user's test"),
        ReportedAccuracy("NTU60", "xsub", "four streams", 92.4, _PAPER),
        ReportedAccuracy("NTU60", "xview", "four streams", 96.8, _PAPER),
        ReportedAccuracy("NTU120", "xsub", "four streams", 88.9, _PAPER),
        ReportedAccuracy("NTU120", "xset", "four streams", 90.6, _PAPER),
        ReportedAccuracy("NW-UCLA", "view 3", "four streams", 96.5, _PAPER),
    ),
    options=(
        DROPOUT,
        ModelOption("width", 64, "channels of the first four blocks; a multiple of 4"),
    ),
)

CARDS = (CTRGCN,)
