"""Which clips a set holds: their names, in order, balanced however many are taken."""

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

    The three cameras of a take follow each other, then the next action has its turn. Each action
    goes round all performers, by turns one of the training and one of the test part of X-Sub, and
    both repetitions and all setups occur. More clips never change the names of those before.

    Args:
        clips: How many; at most 17 setups x 2 repetitions x 40 performers x 3 cameras x actions.
        actions: How many actions, as ``list_actions`` counts them.

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
    """The performer who plays the second person beside this one; of the same part of X-Sub."""
    order = _performers_by_turns()
    return order[(order.index(number) + 2) % NUM_PERFORMERS]


def _name(clip: int, numbers: list[int], order: tuple[int, ...], stride: int) -> str:
    take, camera = divmod(clip, NUM_CAMERAS)
    lap, place = divmod(take, len(numbers))  # in each lap, each action has one take
    rounds, _ = divmod(lap, NUM_PERFORMERS)  # in each round, each action meets each performer
    performer = order[(place + lap * stride) % NUM_PERFORMERS]
    replication = (rounds + lap % NUM_PERFORMERS // 2) % NUM_REPLICATIONS
    setup = (performer + rounds // NUM_REPLICATIONS) % NUM_SETUPS
    where = f"S{setup + 1:03d}C{camera + 1:03d}"
    return f"{where}P{performer:03d}R{replication + 1:03d}A{numbers[place]:03d}"


def _performers_by_turns() -> tuple[int, ...]:
    """All performers, one of the training part, one of the test part, and so on."""
    trained = parse_split("xsub").train
    everyone = range(1, NUM_PERFORMERS + 1)
    train = [number for number in everyone if number in trained]
    test = [number for number in everyone if number not in trained]
    return tuple(number for pair in zip(train, test, strict=True) for number in pair)


def _stride(actions: int) -> int:
    """How far the performers move on from lap to lap: about one lap, and meeting all of them."""
    near = (actions + step for step in (0, -1, 1, -2, 2, -3, 3))
    return next(stride for stride in near if stride > 0 and gcd(stride, NUM_PERFORMERS) == 1)
