from .checkpoint import (
    Checkpoint as Checkpoint,
    InputSpec as InputSpec,
    load_checkpoint as load_checkpoint,
    read_checkpoint as read_checkpoint,
)
from .engines import (
    FASTEST as FASTEST,
    list_engines as list_engines,
)
from .files import (
    NetworkFile as NetworkFile,
    read_network_file as read_network_file,
)
from .network import (
    Network as Network,
    Prediction as Prediction,
    open_network as open_network,
)
from .places import (
    check_network as check_network,
    chosen_checkpoint as chosen_checkpoint,
)
from .poses import kind_of_poses as kind_of_poses
from .predict import predict as predict
from .reasons import (
    Reasons as Reasons,
    Topology as Topology,
    explain as explain,
)
from .spec import NetworkSpec as NetworkSpec
