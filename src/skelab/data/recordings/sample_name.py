"""Names of NTU RGB+D samples: what they say of setup, camera, performer, take and action."""

import re

from skelab.data.clips.clip import SampleInfo
from skelab.errors import DataError

_NAME = re.compile(r"S(\d{3})C(\d{3})P(\d{3})R(\d{3})A(\d{3})", re.ASCII)


def parse_sample_name(name: str) -> SampleInfo:
    """What a name such as ``S001C002P003R002A013`` says of its sample.

    Args:
        name: Setup, camera, performer (subject), replication and action, three digits each,
            counted from 1; no folder and no suffix.

    Returns:
        The numbers as they stand; the label is the action minus one.

    Raises:
        DataError: The name has another form, or one of its numbers is 0.

    Source: shahroudy/NTURGB-D@ac2ebc8, README.
    """
    match = _NAME.fullmatch(name)
    if match is None:
        raise DataError(f"{name}: expected a name like S001C002P003R002A013, found another form")
    numbers = [int(number) for number in match.groups()]
    if 0 in numbers:
        part = ("setup", "camera", "performer", "replication", "action")[numbers.index(0)]
        raise DataError(f"{name}: expected numbers from 1 on, found {part} 0")
    setup, camera, subject, replication, action = numbers
    return SampleInfo(
        name=name,
        label=action - 1,
        subject=subject,
        camera=camera,
        setup=setup,
        replication=replication,
    )
