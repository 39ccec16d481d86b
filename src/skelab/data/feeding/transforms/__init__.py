"""Transforms of the feeder: one protocol, one axis order, and their settings in a recipe."""

from skelab.data.feeding.transforms.geometry import (
    Mirror,
    Noise,
    RandomLimbs,
    RandomRotation,
    Scale,
    Shear,
    rotation_matrices,
)
from skelab.data.feeding.transforms.masking import (
    DropJoints,
    DroppedJoints,
    MaskTime,
    ReverseTime,
)
from skelab.data.feeding.transforms.mixing import Mix, MixedIn
from skelab.data.feeding.transforms.protocol import ClipFacts, Draws, Need, Transform
from skelab.data.feeding.transforms.settings import (
    TRANSFORM_SETTINGS,
    ListedTransform,
    TransformSettings,
)
from skelab.data.feeding.transforms.window import MIN_CROP, Crop, CropResize, Fill, PickFrames

__all__ = [
    "MIN_CROP",
    "TRANSFORM_SETTINGS",
    "ClipFacts",
    "Crop",
    "CropResize",
    "Draws",
    "DropJoints",
    "DroppedJoints",
    "Fill",
    "ListedTransform",
    "MaskTime",
    "Mirror",
    "Mix",
    "MixedIn",
    "Need",
    "Noise",
    "PickFrames",
    "RandomLimbs",
    "RandomRotation",
    "ReverseTime",
    "Scale",
    "Shear",
    "Transform",
    "TransformSettings",
    "rotation_matrices",
]
