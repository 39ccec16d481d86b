from ._version import __version__ as __version__
from .data.clips.clip import (
    BodyTrack as BodyTrack,
    Clip as Clip,
    RawClip as RawClip,
    SampleInfo as SampleInfo,
)
from .data.clips.sequence import (
    Segment as Segment,
    UntrimmedSequence as UntrimmedSequence,
)
from .data.clips.opened_clips import OpenedClips as OpenedClips
from .data.clips.store import (
    ClipStore as ClipStore,
    open_store as open_store,
)
from .data.clips.write import write_store as write_store
from .data.datasets import (
    get_dataset as get_dataset,
    list_datasets as list_datasets,
    list_splits as list_splits,
    open_source as open_source,
    parse_split as parse_split,
)
from .data.feeding.dataset import ClipDataset as ClipDataset
from .data.ingest import ingest as ingest
from .data.opened import open_clips as open_clips
from .data.recordings.skeleton_file import read_skeleton_file as read_skeleton_file
from .data.segments import read_segments as read_segments
from .errors import SkelabError as SkelabError
from .evaluation import (
    Scores as Scores,
    evaluate_scores as evaluate_scores,
)
from .export import export_checkpoint as export_checkpoint
from .inference import (
    Network as Network,
    NetworkSpec as NetworkSpec,
    Prediction as Prediction,
    load_checkpoint as load_checkpoint,
    open_network as open_network,
    predict as predict,
    read_checkpoint as read_checkpoint,
)
from .models import (
    create_model as create_model,
    export_weights as export_weights,
    import_weights as import_weights,
    list_models as list_models,
)
from .recipes import (
    Recipe as Recipe,
    list_recipes as list_recipes,
    load_recipe as load_recipe,
)
from .runs.anticipate import (
    Anticipation as Anticipation,
    anticipate as anticipate,
)
from .runs.evaluate import evaluate_run as evaluate_run
from .runs.train import train_recipe as train_recipe
from .skeleton import (
    Layout as Layout,
    get_layout as get_layout,
    list_layouts as list_layouts,
)
from .viewer import (
    View as View,
    view as view,
)

__all__: list[str]
