"""Model families: cards, construction by name, and the authors' weights in and out."""

from skelab.models import families as _families  # noqa: F401  they register themselves
from skelab.models.activations import ACTIVATION_POLICIES, set_activation_policy
from skelab.models.axes import JointAxes
from skelab.models.base import SkeletonModel, set_skip_absent
from skelab.models.card import ModelCard, ReportedAccuracy
from skelab.models.check import check_traits
from skelab.models.decay import parameter_groups
from skelab.models.inputs import ModelInput
from skelab.models.options import ModelOption, Option
from skelab.models.page import models_page
from skelab.models.pooling import MeanPooling
from skelab.models.registry import (
    ModelSpec,
    create_model,
    family_traits,
    get_card,
    joint_axes,
    list_models,
    model_spec,
    register_model,
    specify_model,
)
from skelab.models.tokens import BackboneOutput, ModelOutput, Tokens
from skelab.models.traits import FamilyTraits
from skelab.models.weights import export_weights, import_weights, read_state_dict

__all__ = [
    "ACTIVATION_POLICIES",
    "BackboneOutput",
    "FamilyTraits",
    "JointAxes",
    "MeanPooling",
    "ModelCard",
    "ModelInput",
    "ModelOption",
    "ModelOutput",
    "ModelSpec",
    "Option",
    "ReportedAccuracy",
    "SkeletonModel",
    "Tokens",
    "check_traits",
    "create_model",
    "export_weights",
    "family_traits",
    "get_card",
    "import_weights",
    "joint_axes",
    "list_models",
    "model_spec",
    "models_page",
    "parameter_groups",
    "read_state_dict",
    "register_model",
    "set_activation_policy",
    "set_skip_absent",
    "specify_model",
]
