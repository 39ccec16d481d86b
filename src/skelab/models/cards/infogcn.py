"""The card of InfoGCN."""

from skelab.models.card import ModelCard
from skelab.models.options import DROPOUT, ModelOption
from skelab.models.published import published_figures

INFOGCN = ModelCard(
    name="infogcn",
    title="InfoGCN",
    paper="Chi, Ha, Chi, Lee, Huang, Ramani: InfoGCN: Representation Learning for Human"
    " Skeleton-Based Action Recognition. CVPR 2022",
    code="stnoah1/infogcn@873feaa85160317335a83e04013e0ffa3f63525e",
    code_licence="none stated",
    num_parameters=1_556_807,
    pipeline="ctrgcn",
    reported=published_figures("infogcn"),
    options=(
        DROPOUT,
        ModelOption("width", 64, "channels of the first three blocks; a multiple of 8"),
        ModelOption(
            "hops",
            1,
            "show each joint relative to the one so many bones nearer to the middle of the spine;"
            " more than the skeleton is deep show joints as they are",
        ),
        ModelOption(
            "noise", 1.0, "how much of the noise training adds to a clip's code, 1 for all"
        ),
        ModelOption(
            "noise_ratio", 0.5, "the noise is exp(noise_ratio * s), where s is made of the clip"
        ),
        ModelOption("prior_gain", 3.0, "length of the codes that classes are drawn to"),
    ),
)

CARDS = (INFOGCN,)
