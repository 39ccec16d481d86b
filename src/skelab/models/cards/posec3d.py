"""The card of PoseC3D (SlowOnly)."""

from dataclasses import replace

from skelab.models.card import ModelCard
from skelab.models.cards._pyskl import PYSKL_CODE, PYSKL_LICENCE
from skelab.models.options import DROPOUT, ModelOption
from skelab.models.published import published_figures
from skelab.models.traits import FamilyTraits

POSEC3D = ModelCard(
    name="posec3d",
    title="PoseC3D (SlowOnly)",
    paper="Duan, Zhao, Chen, Lin, Dai: Revisiting Skeleton-based Action Recognition. CVPR 2022",
    arxiv="2104.13586",
    code=PYSKL_CODE,
    code_licence=PYSKL_LICENCE,
    num_parameters=2_037_404,
    pipeline="as-given",
    pipeline_is_nearest=True,
    traits=FamilyTraits(bodies_mix=True),
    reported=published_figures("posec3d"),
    options=(
        replace(DROPOUT, default=0.5),
        ModelOption("width", 32, "channels of the stem"),
        ModelOption(
            "blocks", "4-6-3", "blocks of the three stages; 3-4-6 in some networks of the authors"
        ),
        ModelOption("size", 56, "height and width of the heat maps, in pixels"),
        ModelOption("sigma", 0.6, "standard deviation of a joint in the maps, in pixels"),
        ModelOption(
            "aspect",
            1.0,
            "width over height of the images that 2D poses were found in, as far as ingest divided"
            " x and y by their halves; poses in space ignore it",
        ),
        ModelOption("limbs", False, "draw limbs, not joints"),
    ),
)

CARDS = (POSEC3D,)
