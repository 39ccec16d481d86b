"""Networks as ONNX, OpenVINO IR and torch.export files, and predictions with any of them."""

from skelab.export.check import AGREEMENT, TOLERANCE, CheckReport, check_export, check_quantised
from skelab.export.clips import prepare_clip, read_clips, recording
from skelab.export.exported import ExportedModel, is_exported, load_exported
from skelab.export.formats import OPSET
from skelab.export.metadata import ExportMetadata, describe_checkpoint
from skelab.export.predict import Prediction, Predictor, open_predictor, predict
from skelab.export.write import (
    FRAMES,
    PRECISIONS,
    TARGETS,
    ExportReport,
    eager_network,
    export_checkpoint,
)

__all__ = [
    "AGREEMENT",
    "FRAMES",
    "OPSET",
    "PRECISIONS",
    "TARGETS",
    "TOLERANCE",
    "CheckReport",
    "ExportMetadata",
    "ExportReport",
    "ExportedModel",
    "Prediction",
    "Predictor",
    "check_export",
    "check_quantised",
    "describe_checkpoint",
    "eager_network",
    "export_checkpoint",
    "is_exported",
    "load_exported",
    "open_predictor",
    "predict",
    "prepare_clip",
    "read_clips",
    "recording",
]
