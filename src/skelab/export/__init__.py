"""Networks as ONNX, OpenVINO IR and torch.export files, checked before they are written."""

from skelab.export.check import AGREEMENT, TOLERANCE, CheckReport, check_export, check_quantised
from skelab.export.formats import OPSET
from skelab.export.write import FRAMES, PRECISIONS, TARGETS, ExportReport, export_checkpoint

__all__ = [
    "AGREEMENT",
    "FRAMES",
    "OPSET",
    "PRECISIONS",
    "TARGETS",
    "TOLERANCE",
    "CheckReport",
    "ExportReport",
    "check_export",
    "check_quantised",
    "export_checkpoint",
]
