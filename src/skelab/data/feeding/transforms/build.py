"""What carries out the settings of a transform."""

from skelab.data.feeding.transforms.geometry import (
    Mirror,
    Noise,
    RandomLimbs,
    RandomRotation,
    Scale,
    Shear,
)
from skelab.data.feeding.transforms.masking import DropJoints, MaskTime, ReverseTime
from skelab.data.feeding.transforms.mixing import Mix
from skelab.data.feeding.transforms.protocol import Transform
from skelab.data.feeding.transforms.settings import (
    DropJointsSettings,
    LimbsSettings,
    MaskTimeSettings,
    MirrorSettings,
    MixSettings,
    NoiseSettings,
    ReverseTimeSettings,
    RotateSettings,
    ScaleSettings,
    ShearSettings,
    TransformSettings,
)
from skelab.skeleton import Layout


def build_transform(settings: TransformSettings, layout: Layout) -> Transform:
    """The transform of clips of this layout that the settings describe.

    Raises:
        TypeError: Nothing carries out settings of this kind.
    """
    match settings:
        case RotateSettings():
            return RandomRotation(settings.limit, settings.yaw)
        case LimbsSettings():
            return RandomLimbs(settings.limit, layout)
        case MirrorSettings():
            return Mirror(layout, settings.probability)
        case ShearSettings():
            return Shear(settings.limit, settings.probability)
        case ScaleSettings():
            return Scale(layout, settings.limit, settings.per_axis, settings.probability)
        case NoiseSettings():
            return Noise(layout, settings.std, settings.probability)
        case DropJointsSettings():
            return DropJoints(settings.limit, settings.frames, settings.probability)
        case MaskTimeSettings():
            return MaskTime(settings.frames, settings.freeze, settings.probability)
        case ReverseTimeSettings():
            return ReverseTime(settings.probability)
        case MixSettings():
            return Mix(settings.alpha, settings.probability)
    raise TypeError(
        f"settings of a transform: found {type(settings).__name__}, expected a known kind"
    )
