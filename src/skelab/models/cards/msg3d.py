"""The card of MS-G3D."""

from skelab.models.card import ModelCard
from skelab.models.options import CAUSAL, DROPOUT, HORIZON, ModelOption
from skelab.models.published import published_figures

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
    reported=published_figures("msg3d"),
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
        CAUSAL,
        HORIZON,
    ),
)

CARDS = (MSG3D,)
