"""The card of MS-G3D."""

from skelab.models.card import ModelCard, ReportedAccuracy
from skelab.models.options import DROPOUT, ModelOption

_PAPER = "the paper"
_UNVERIFIED = "the paper, quoted from memory; not checked"
_AUTHOR = "the author, issue 14 of the repository"
MSG3D = ModelCard(
    name="msg3d",
    title="MS-G3D",
    paper="Liu, Zhang, Chen, Wang, Ouyang: Disentangling and Unifying Graph Convolutions for"
    " Skeleton-Based Action Recognition. CVPR 2020",
    arxiv="2003.14111",
    code="kenziyuliu/MS-G3D@2f927f47143c7242e4875ddb08727bf5396aab46",
    code_licence="MIT",
    num_parameters=3_194_595,
    pipeline="msg3d",
    reported=(
        ReportedAccuracy("NTU60", "xsub", "joint", 89.4, _PAPER),
        ReportedAccuracy("NTU60", "xsub", "bone", 90.1, _PAPER),
        ReportedAccuracy("NTU60", "xsub", "joint and bone", 91.5, _PAPER),
        ReportedAccuracy("NTU60", "xview", "joint", 95.0, _UNVERIFIED),
        ReportedAccuracy("NTU60", "xview", "bone", 95.3, _UNVERIFIED),
        ReportedAccuracy("NTU60", "xview", "joint and bone", 96.2, _PAPER),
        ReportedAccuracy("NTU120", "xsub", "joint and bone", 86.9, _AUTHOR),
        ReportedAccuracy("NTU120", "xset", "joint and bone", 88.4, _AUTHOR),
    ),
    options=(
        DROPOUT,
        ModelOption("width", 96, "channels of the first stage; a multiple of 6"),
        ModelOption(
            "num_scales",
            None,
            "scales within a frame; unless given 13, fewer if no two joints are 12 bones apart",
        ),
        ModelOption(
            "num_window_scales",
            None,
            "scales within a window; unless given 6, fewer if no two joints are 5 bones apart",
        ),
    ),
)

CARDS = (MSG3D,)
