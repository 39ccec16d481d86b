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
from .store import (
    SideCar as SideCar,
    SideCarInfo as SideCarInfo,
    SideCarStore as SideCarStore,
    make_side_car as make_side_car,
    open_side_cars as open_side_cars,
    write_side_cars as write_side_cars,
)
