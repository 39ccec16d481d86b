"""Model families: cards, construction by name, and the authors' weights in and out."""

from skelab.models import aagcn as _aagcn  # noqa: F401  registers itself
from skelab.models import ctrgcn as _ctrgcn  # noqa: F401  registers itself
from skelab.models import msg3d as _msg3d  # noqa: F401  registers itself
from skelab.models import shiftgcn as _shiftgcn  # noqa: F401  registers itself
from skelab.models import stgcn as _stgcn  # noqa: F401  registers itself
from skelab.models import stgcnpp as _stgcnpp  # noqa: F401  registers itself
from skelab.models.activations import ACTIVATION_POLICIES, set_activation_policy
from skelab.models.axes import JointAxes
from skelab.models.base import SkeletonModel, set_skip_absent
from skelab.models.card import ModelCard, ModelOption, ReportedAccuracy
from skelab.models.decay import parameter_groups
from skelab.models.page import models_page
from skelab.models.registry import (
    ModelSpec,
    create_model,
    get_card,
    joint_axes,
    list_models,
    model_spec,
    register_model,
)
from skelab.models.weights import export_weights, import_weights, read_state_dict

__all__ = [
    "ACTIVATION_POLICIES",
    "JointAxes",
    "ModelCard",
    "ModelOption",
    "ModelSpec",
    "ReportedAccuracy",
    "SkeletonModel",
    "create_model",
    "export_weights",
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
]
