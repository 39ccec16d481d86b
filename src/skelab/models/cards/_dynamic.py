"""What the cards of DG-STGCN and the families derived from it have in common."""

from skelab.models.options import ModelOption

ONE_STRENGTH = ModelOption(
    "one_strength",
    False,
    "use the first of the learned strengths, which scale a clip's refinement of the topologies, for"
    " all subsets, as in the authors' code; imported weights set it",
)
