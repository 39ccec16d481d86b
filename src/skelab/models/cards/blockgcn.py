"""The card of BlockGCN."""

from collections.abc import Mapping
from typing import Any

from skelab.models.card import ModelCard
from skelab.models.options import DROPOUT, ModelOption
from skelab.models.published import published_figures
from skelab.models.traits import FamilyTraits


def _traits(options: Mapping[str, Any]) -> FamilyTraits:
    return FamilyTraits(bodies_mix=True, samples_mix=options["batch_topology"])


BLOCKGCN = ModelCard(
    name="blockgcn",
    title="BlockGCN",
    paper="Zhou, Yan, Cheng, Yan, Dai, Hua: BlockGCN: Redefine Topology Awareness for"
    " Skeleton-Based Action Recognition. CVPR 2024",
    code="ZhouYuxuanYX/BlockGCN@7b45971a931c5b0ba60f3a7ba11a91e544de54fb",
    code_licence="Apache-2.0",
    num_parameters=1_372_780,
    pipeline="ctrgcn",
    traits=FamilyTraits(bodies_mix=True),
    reported=published_figures("blockgcn"),
    options=(
        DROPOUT,
        ModelOption("width", 128, "channels of the first four blocks; a multiple of 8"),
        ModelOption(
            "batch_topology",
            False,
            "scale the distances within a clip by those of the whole batch, and mix up whose they"
            " are, as the authors' code does; imported weights have it",
        ),
    ),
    traits_of=_traits,
)

CARDS = (BLOCKGCN,)
