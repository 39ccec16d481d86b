"""A search for the largest number of clips that fits."""

from collections.abc import Callable


def largest_that_fits(fits: Callable[[int], bool], most: int, *, start: int = 1) -> int:
    """The largest number from 1 to ``most`` that fits; 0 if not even 1 does.

    Doubles while it fits, or halves until it does, and then bisects.

    Args:
        fits: Whether a number fits; monotonic. Called at most once per number.
        most: Upper bound.
        start: The first number to try, say a guess.
    """
    too_many = most + 1
    fitting = 0
    clips = min(max(start, 1), most)
    while fitting + 1 < too_many:
        if fits(clips):
            fitting = clips
        else:
            too_many = clips
        if too_many > most:
            clips = min(2 * clips, most)
        elif not fitting:
            clips = max(clips // 2, 1)
        else:
            clips = (fitting + too_many) // 2
    return fitting
