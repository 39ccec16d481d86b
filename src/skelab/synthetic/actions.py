"""The available actions: NTU RGB+D numbers and names, and their motions."""

from collections.abc import Callable
from dataclasses import dataclass

from skelab.data.recordings import NTU60_CLASSES
from skelab.errors import DataError
from skelab.synthetic import duo, solo
from skelab.synthetic.body import Pose
from skelab.synthetic.duo import Duo
from skelab.synthetic.performer import Performance

DEFAULT_ACTIONS = 14


@dataclass(frozen=True)
class SyntheticAction:
    """An available action of NTU RGB+D.

    Attributes:
        number: Number in NTU RGB+D, from 1; the label is one less.
        seconds: Average duration, seconds.
        solo: Motion of a single-person action, else None.
        duo: Motion of a two-person action, else None.
    """

    number: int
    seconds: float
    solo: Callable[[Performance], Pose] | None = None
    duo: Callable[[Performance, Performance], Duo] | None = None

    @property
    def code(self) -> str:
        """As in file names, such as ``A010``."""
        return f"A{self.number:03d}"

    @property
    def name(self) -> str:
        """Name of the action."""
        return NTU60_CLASSES[self.number - 1]

    @property
    def persons(self) -> int:
        """1 or 2."""
        return 1 if self.duo is None else 2


# In the order of `--actions K`: opposite and similar actions come early, and every third to fourth
# one has two persons.
_ACTIONS = (
    SyntheticAction(23, 2.2, solo=solo.hand_waving),
    SyntheticAction(8, 1.8, solo=solo.sit_down),
    SyntheticAction(9, 1.8, solo=solo.stand_up),
    SyntheticAction(59, 2.0, duo=duo.walking_towards),
    SyntheticAction(60, 2.0, duo=duo.walking_apart),
    SyntheticAction(10, 2.0, solo=solo.clapping),
    SyntheticAction(24, 1.7, solo=solo.kick),
    SyntheticAction(27, 1.8, solo=solo.jump_up),
    SyntheticAction(58, 2.0, duo=duo.handshaking),
    SyntheticAction(1, 2.4, solo=solo.drink_water),
    SyntheticAction(6, 2.0, solo=solo.pick_up),
    SyntheticAction(50, 1.7, duo=duo.punching),
    SyntheticAction(22, 2.0, solo=solo.cheer_up),
    SyntheticAction(26, 2.0, solo=solo.hopping),
    SyntheticAction(55, 2.4, duo=duo.hugging),
    SyntheticAction(35, 1.8, solo=solo.bow),
    SyntheticAction(40, 1.9, solo=solo.cross_hands),
    SyntheticAction(52, 1.7, duo=duo.pushing),
    SyntheticAction(7, 1.8, solo=solo.throw),
    SyntheticAction(38, 1.9, solo=solo.salute),
    SyntheticAction(51, 1.7, duo=duo.kicking),
    SyntheticAction(20, 2.0, solo=solo.put_on_hat),
    SyntheticAction(21, 2.0, solo=solo.take_off_hat),
)
_BY_NUMBER = {action.number: action for action in _ACTIONS}


def list_actions(count: int | None = None) -> tuple[SyntheticAction, ...]:
    """The first ``count`` available actions, in order.

    Args:
        count: From 2 to all; by default 14, four of them with two persons.

    Raises:
        DataError: There are fewer, or fewer than two were requested.
    """
    count = DEFAULT_ACTIONS if count is None else count
    if not 2 <= count <= len(_ACTIONS):
        raise DataError(f"actions: expected a number from 2 to {len(_ACTIONS)}, found {count}")
    return _ACTIONS[:count]


def get_action(number: int) -> SyntheticAction:
    """The action of this NTU RGB+D number.

    Raises:
        DataError: It is not available; the message lists those that are.
    """
    try:
        return _BY_NUMBER[number]
    except KeyError:
        known = ", ".join(action.code for action in sorted(_ACTIONS, key=lambda a: a.number))
        raise DataError(
            f"synthetic action A{number:03d}: expected one of {known}, found another"
        ) from None
