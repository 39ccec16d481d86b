"""The card of SkeletonAgent."""

from skelab.models.card import ModelCard
from skelab.models.cards._dynamic import ONE_STRENGTH
from skelab.models.options import DROPOUT, ModelOption
from skelab.models.published import published_figures

SKELETONAGENT = ModelCard(
    name="skeletonagent",
    title="SkeletonAgent",
    paper="Liu, Liu, Wang, Wang, Sun: SkeletonAgent: An Agentic Interaction Framework for"
    " Skeleton-based Action Recognition",
    code="firework8/SkeletonAgent@2440fda2c502ef07253e679e81b59468d912eda8",
    code_licence="MIT; its full training asks a remote language model for texts",
    num_parameters=3_899_767,
    pipeline="pyskl-centred",
    reported=published_figures("skeletonagent"),
    options=(
        DROPOUT,
        ModelOption("width", 96, "channels of the first three blocks; at least 8"),
        ONE_STRENGTH,
    ),
)

CARDS = (SKELETONAGENT,)
