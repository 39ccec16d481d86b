"""Names of the clips of a set, balanced for any number of clips."""

from math import gcd

from skelab.data.datasets import parse_split
from skelab.errors import DataError
from skelab.synthetic.actions import list_actions
from skelab.synthetic.performer import NUM_PERFORMERS

NUM_SETUPS = 17
NUM_CAMERAS = 3
NUM_REPLICATIONS = 2


def clip_names(clips: int, *, actions: int | None = None) -> tuple[str, ...]:
    """The names of the first ``clips`` clips, ``SsssCcccPpppRrrrAaaa``; all different.

    The three cameras of a take are consecutive, then the next action follows. Each action cycles
    through all performers, alternating between the training and the test part of X-Sub, and covers
    both repetitions and all setups. A larger set extends a smaller one.

    Args:
        clips: Number of clips; at most 17 setups x 2 repetitions x 40 performers x 3 cameras x
            actions.
        actions: Number of actions, see ``list_actions``.

    Raises:
        DataError: A number is out of range.
    """
    numbers = [action.number for action in list_actions(actions)]
    most = NUM_SETUPS * NUM_REPLICATIONS * NUM_PERFORMERS * NUM_CAMERAS * len(numbers)
    if not 1 <= clips <= most:
        raise DataError(
            f"clips: expected a number from 1 to {most:,} for {len(numbers)} actions, found {clips}"
        )
    order = _performers_by_turns()
    stride = _stride(len(numbers))
    return tuple(_name(clip, numbers, order, stride) for clip in range(clips))


def partner_of(number: int) -> int:
    """The performer of the second person, from the same part of X-Sub."""
    order = _performers_by_turns()
    return order[(order.index(number) + 2) % NUM_PERFORMERS]


def _name(clip: int, numbers: list[int], order: tuple[int, ...], stride: int) -> str:
    take, camera = divmod(clip, NUM_CAMERAS)
    lap, place = divmod(take, len(numbers))  # each action has one take per lap
    rounds, _ = divmod(lap, NUM_PERFORMERS)  # each action meets each performer once per round
    performer = order[(place + lap * stride) % NUM_PERFORMERS]
    replication = (rounds + lap % NUM_PERFORMERS // 2) % NUM_REPLICATIONS
    setup = (performer + rounds // NUM_REPLICATIONS) % NUM_SETUPS
    where = f"S{setup + 1:03d}C{camera + 1:03d}"
    return f"{where}P{performer:03d}R{replication + 1:03d}A{numbers[place]:03d}"


def _performers_by_turns() -> tuple[int, ...]:
    """All performers, alternating between training and test part."""
    trained = parse_split("xsub").train
    everyone = range(1, NUM_PERFORMERS + 1)
    train = [number for number in everyone if number in trained]
    test = [number for number in everyone if number not in trained]
    return tuple(number for pair in zip(train, test, strict=True) for number in pair)


def _stride(actions: int) -> int:
    """The shift of performers from lap to lap, chosen so that each action meets all of them."""
    near = (actions + step for step in (0, -1, 1, -2, 2, -3, 3))
    return next(stride for stride in near if stride > 0 and gcd(stride, NUM_PERFORMERS) == 1)
