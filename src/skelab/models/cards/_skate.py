"""What the cards of SkateFormer and LSTC-MDA have in common."""

from typing import Final

from skelab.models.options import ModelOption

FRAMES_MULTIPLE: Final = 64
"""Three stages halve the frames, and partitions of the last have eight."""

BIAS_BY_JOINT = ModelOption(
    "bias_by_joint",
    False,
    "where adjacent joints form a partition, index the temporal bias by the distance of joints, as"
    " in the authors' code; imported weights set it",
)
SCALE_BY_HEADS = ModelOption(
    "scale_by_heads",
    False,
    "divide attention scores by the square root of the number of heads instead of the channels per"
    " head, as in the authors' code; imported weights set it",
)
ATTENTION_DROPOUT = ModelOption("attention_dropout", 0.5, "dropout probability of the attention")
DROP_PATH = ModelOption(
    "drop_path", 0.2, "probability of dropping the last block's branches; lower in those before"
)
