"""The process that traces ahead of the one that asks; see :mod:`skelab.fit.ahead`.

Speaks JSON, a line a message: a configuration comes, its trace is the answer.
"""

import json
import sys
from collections.abc import Callable, Iterable

from skelab.errors import SkelabError
from skelab.fit.ahead import Wanted
from skelab.fit.figures import NotTriedError
from skelab.fit.messages import Message, read_configuration, written_trace
from skelab.host.worker_process import die_with_parent, own_answers


def answer(asked: Message) -> Message:
    """The trace, or why there is none."""
    try:
        wanted = Wanted(read_configuration(asked), asked["training"], asked["for_gpu"])
        return written_trace(wanted.make())
    except (NotTriedError, SkelabError) as error:
        return {"error": str(error)}


def serve(questions: Iterable[str], write: Callable[[str], object]) -> None:
    """Answer, until the lines end."""
    for line in questions:
        write(json.dumps(answer(json.loads(line))) + "\n")


def main() -> None:
    """Keep what libraries print away from the answers."""
    die_with_parent()
    serve(sys.stdin, own_answers().write)


if __name__ == "__main__":
    main()
