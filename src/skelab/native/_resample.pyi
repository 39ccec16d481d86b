from numpy import ndarray

def resample(
    values: ndarray,
    clips: ndarray,
    matrices: ndarray,
    out: ndarray,
    window: int,
    bodies: int,
    joints: int,
    axes: int,
    /,
) -> None: ...
