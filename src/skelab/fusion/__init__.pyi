from .aligned import (
    AlignedSideCars as AlignedSideCars,
    side_cars_of_clips as side_cars_of_clips,
    side_cars_of_store as side_cars_of_store,
)
from .encoders import (
    Encoder as Encoder,
    get_encoder as get_encoder,
    list_encoders as list_encoders,
    register_encoder as register_encoder,
)
from .extract import (
    Extraction as Extraction,
    extract_features as extract_features,
)
from .fusers import (
    AttendFuser as AttendFuser,
    Fuser as Fuser,
    GatedFuser as GatedFuser,
    LateFuser as LateFuser,
    LateHead as LateHead,
    SideCarOnly as SideCarOnly,
    attach_fuser as attach_fuser,
)
from .spec import (
    FUSERS as FUSERS,
    SIDE_CAR_ONLY as SIDE_CAR_ONLY,
    FusionConfig as FusionConfig,
    FusionSpec as FusionSpec,
    SideCarInfo as SideCarInfo,
)
from .store import (
    SideCar as SideCar,
    SideCarStore as SideCarStore,
    make_side_car as make_side_car,
    open_side_cars as open_side_cars,
    write_side_cars as write_side_cars,
)
