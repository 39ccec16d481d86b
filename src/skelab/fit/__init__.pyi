from .answer import (
    FitStopped as FitStopped,
    fit as fit,
)
from .figures import (
    Configuration as Configuration,
    Cost as Cost,
    MemoryParts as MemoryParts,
    Span as Span,
)
from .outcome import (
    FitReport as FitReport,
    InferenceFit as InferenceFit,
    ModelFit as ModelFit,
    OptionFit as OptionFit,
    Settings as Settings,
    Verdict as Verdict,
)
