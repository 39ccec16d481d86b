from numpy import ndarray

def count_filled(values: ndarray, clips: ndarray, out: ndarray, pose: int, /) -> None: ...
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
