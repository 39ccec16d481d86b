from .activations import (
    ACTIVATION_POLICIES as ACTIVATION_POLICIES,
    set_activation_policy as set_activation_policy,
)
from .axes import JointAxes as JointAxes
from .base import (
    SkeletonModel as SkeletonModel,
    set_skip_absent as set_skip_absent,
)
from .card import (
    ModelCard as ModelCard,
    ReportedAccuracy as ReportedAccuracy,
)
from .check import check_traits as check_traits
from .create import (
    ModelSpec as ModelSpec,
    create_model as create_model,
    model_spec as model_spec,
    specify_model as specify_model,
)
from .decay import parameter_groups as parameter_groups
from .inputs import ModelInput as ModelInput
from .measured import (
    FamilyCost as FamilyCost,
    MeasuredFamilies as MeasuredFamilies,
    measured_families as measured_families,
)
from .options import (
    ModelOption as ModelOption,
    Option as Option,
)
from .page import (
    COMPARED as COMPARED,
    SORT_KEYS as SORT_KEYS,
    compared_figures as compared_figures,
    models_page as models_page,
    sorted_cards as sorted_cards,
)
from .pooling import MeanPooling as MeanPooling
from .registry import (
    get_card as get_card,
    joint_axes as joint_axes,
    list_models as list_models,
    register_model as register_model,
)
from .tokens import (
    BackboneOutput as BackboneOutput,
    ModelOutput as ModelOutput,
    Tokens as Tokens,
)
from .traits import FamilyTraits as FamilyTraits
from .weights import (
    export_weights as export_weights,
    import_weights as import_weights,
    read_state_dict as read_state_dict,
)
