from .detection import (
    DETECTION_OVERLAPS as DETECTION_OVERLAPS,
    Detection as Detection,
    DetectionResult as DetectionResult,
    GestureCounts as GestureCounts,
    GestureDetection as GestureDetection,
    GestureResult as GestureResult,
    PkuResult as PkuResult,
    Ranking as Ranking,
    average_precision as average_precision,
    evaluate_detections as evaluate_detections,
    evaluate_gestures as evaluate_gestures,
    evaluate_pku as evaluate_pku,
)
from .early import (
    FIXED_THRESHOLDS as FIXED_THRESHOLDS,
    RATIOS as RATIOS,
    Area as Area,
    AreaDifference as AreaDifference,
    EarlyEvaluation as EarlyEvaluation,
    EarlyProtocol as EarlyProtocol,
    EarlyScores as EarlyScores,
    ExitPoint as ExitPoint,
    TimeToCorrect as TimeToCorrect,
    area as area,
    at_ratios as at_ratios,
    choose_thresholds as choose_thresholds,
    compare_areas as compare_areas,
    early_exits as early_exits,
    evaluate_early as evaluate_early,
    frame_at_ratio as frame_at_ratio,
    per_frame_accuracy as per_frame_accuracy,
    time_to_correct as time_to_correct,
)
from .ensemble import (
    ENSEMBLE_PRESETS as ENSEMBLE_PRESETS,
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
from .next_action import (
    FollowerTable as FollowerTable,
    Guess as Guess,
    NextFigures as NextFigures,
    NextQuestions as NextQuestions,
    Order as Order,
    guess_ladder as guess_ladder,
    known_orders as known_orders,
    next_figures as next_figures,
    rank_classes as rank_classes,
)
from .online import (
    Hysteresis as Hysteresis,
    choose_hysteresis as choose_hysteresis,
    detect_online as detect_online,
    frames_of_detections as frames_of_detections,
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
from .segmentation import (
    OVERLAPS as OVERLAPS,
    Counts as Counts,
    LabelRun as LabelRun,
    SegmentationResult as SegmentationResult,
    SegmentRule as SegmentRule,
    edit_score as edit_score,
    evaluate_segmentation as evaluate_segmentation,
    f1_of as f1_of,
    match_runs as match_runs,
    runs_of as runs_of,
)
