"""The card of Shift-GCN."""

from skelab.models.card import ModelCard
from skelab.models.options import DROPOUT, ModelOption
from skelab.models.published import published_figures
from skelab.models.traits import FamilyTraits

SHIFTGCN = ModelCard(
    name="shiftgcn",
    title="Shift-GCN",
    paper="Cheng, Zhang, He, Chen, Cheng, Lu: Skeleton-Based Action Recognition with Shift Graph"
    " Convolutional Network. CVPR 2020",
    code="kchengiva/Shift-GCN@20276b64d16775c2de33408beb32825d2f93ffa4",
    code_licence="CC BY-NC 4.0",
    num_parameters=693_107,
    pipeline="msg3d",
    reported=published_figures("shiftgcn"),
    # a shift with stride 2 rounds odd lengths down, its residual up
    traits=FamilyTraits(frames_multiple_of=4),
    options=(
        DROPOUT,
        ModelOption("width", 64, "channels of the first four blocks"),
        ModelOption(
            "sign_gradients",
            False,
            "update each temporal offset by 0.01 times the sign of its gradient, as in the"
            " authors' code, instead of by the gradient; imported weights set it",
        ),
    ),
)

CARDS = (SHIFTGCN,)
