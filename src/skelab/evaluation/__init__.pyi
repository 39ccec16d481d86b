from .ensemble import (
    Calibration as Calibration,
    Comparison as Comparison,
    align as align,
    apply_temperature as apply_temperature,
    authors_weights as authors_weights,
    calibrate as calibrate,
    check_validation_of as check_validation_of,
    fit_temperature as fit_temperature,
    fit_weights as fit_weights,
    fuse as fuse,
    paired_bootstrap as paired_bootstrap,
)
from .foreign_scores import (
    read_label_pickle as read_label_pickle,
    read_score_pickle as read_score_pickle,
    scores_from_pickle as scores_from_pickle,
)
from .headline import (
    HeadlineFigure as HeadlineFigure,
    headline_figures as headline_figures,
)
from .metrics import (
    ClassResult as ClassResult,
    ConfusedPair as ConfusedPair,
    Evaluation as Evaluation,
    GroupResult as GroupResult,
    Proportion as Proportion,
    ReliabilityBin as ReliabilityBin,
    accuracy_by_group as accuracy_by_group,
    calibration_error as calibration_error,
    confused_pairs as confused_pairs,
    confusion_matrix as confusion_matrix,
    evaluate_scores as evaluate_scores,
    log_loss as log_loss,
    log_softmax as log_softmax,
    reliability as reliability,
    softmax as softmax,
    topk_accuracy as topk_accuracy,
    wilson_interval as wilson_interval,
)
from .output_scores import (
    OutputScores as OutputScores,
    load_any_scores as load_any_scores,
)
from .score_files import (
    ScoreFile as ScoreFile,
    find_label_file as find_label_file,
    find_score_files as find_score_files,
    read_labels as read_labels,
    read_score_file as read_score_file,
)
from .scores import (
    GROUPS as GROUPS,
    Scores as Scores,
    ScoresInfo as ScoresInfo,
)
