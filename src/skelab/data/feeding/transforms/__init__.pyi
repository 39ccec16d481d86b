from .build import build_transform as build_transform
from .geometry import (
    Mirror as Mirror,
    Noise as Noise,
    RandomLimbs as RandomLimbs,
    RandomRotation as RandomRotation,
    Scale as Scale,
    Shear as Shear,
    rotation_matrices as rotation_matrices,
)
from .masking import (
    DropJoints as DropJoints,
    DroppedJoints as DroppedJoints,
    MaskTime as MaskTime,
    ReverseTime as ReverseTime,
)
from .mixing import (
    Mix as Mix,
    MixedIn as MixedIn,
)
from .protocol import (
    ClipFacts as ClipFacts,
    Draws as Draws,
    Need as Need,
    Transform as Transform,
)
from .settings import (
    TRANSFORM_SETTINGS as TRANSFORM_SETTINGS,
    Fill as Fill,
    ListedTransform as ListedTransform,
    TransformSettings as TransformSettings,
)
from .window import (
    MIN_CROP as MIN_CROP,
    Crop as Crop,
    CropResize as CropResize,
    PickFrames as PickFrames,
    frames_of_test_clips as frames_of_test_clips,
)
