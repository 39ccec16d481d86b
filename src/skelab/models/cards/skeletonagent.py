"""The card of SkeletonAgent."""

from skelab.models.card import ModelCard
from skelab.models.cards._dynamic import ONE_STRENGTH
from skelab.models.cards._reported import reported_on_ntu
from skelab.models.options import DROPOUT, ModelOption

_README = "the README of the authors' repository"
SKELETONAGENT = ModelCard(
    name="skeletonagent",
    title="SkeletonAgent",
    paper="Liu, Liu, Wang, Wang, Sun: SkeletonAgent: An Agentic Interaction Framework for"
    " Skeleton-based Action Recognition",
    code="firework8/SkeletonAgent@2440fda2c502ef07253e679e81b59468d912eda8",
    code_licence="MIT; its full training asks a remote language model for texts",
    num_parameters=3_899_767,
    pipeline="pyskl-centred",
    reported=(
        *reported_on_ntu("joint", 92.75, 97.39, 87.39, 89.59, source=_README),
        *reported_on_ntu("bone", 93.01, 96.94, 90.01, 91.57, source=_README),
        *reported_on_ntu("joint and bone", 94.01, 97.73, 90.51, 92.43, source=_README),
        *reported_on_ntu("four streams", 94.3, 97.99, 91.35, 92.97, source=_README),
        *reported_on_ntu("six streams", 94.51, 98.19, 91.7, 93.05, source=_README),
    ),
    options=(
        DROPOUT,
        ModelOption("width", 96, "channels of the first three blocks; at least 8"),
        ONE_STRENGTH,
    ),
)

CARDS = (SKELETONAGENT,)
