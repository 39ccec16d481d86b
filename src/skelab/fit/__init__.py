"""Can a machine train a network comfortably? Measured where it is, predicted where it is not."""

from skelab.fit.answer import FitStopped, fit
from skelab.fit.figures import Configuration, Cost, MemoryParts, Span
from skelab.fit.outcome import FitReport, InferenceFit, ModelFit, OptionFit, Settings, Verdict

__all__ = [
    "Configuration",
    "Cost",
    "FitReport",
    "FitStopped",
    "InferenceFit",
    "MemoryParts",
    "ModelFit",
    "OptionFit",
    "Settings",
    "Span",
    "Verdict",
    "fit",
]
