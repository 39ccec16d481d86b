"""A worker process that prefetches traces; see :mod:`skelab.fit.prefetch`.

It speaks JSON lines: a configuration comes in, its trace goes out.
"""

import json
import sys
from collections.abc import Callable, Iterable

from skelab.errors import SkelabError
from skelab.fit.figures import NotTriedError
from skelab.fit.messages import Message, configuration_from_json, trace_to_json
from skelab.fit.prefetch import TraceRequest
from skelab.host.worker_process import die_with_parent, own_answers


def trace_reply(asked: Message) -> Message:
    """The trace, or the reason why there is none."""
    try:
        wanted = TraceRequest(configuration_from_json(asked), asked["training"], asked["for_gpu"])
        return trace_to_json(wanted.make())
    except (NotTriedError, SkelabError) as error:
        return {"error": str(error)}


def serve_traces(questions: Iterable[str], write: Callable[[str], object]) -> None:
    """Serve requests until the input ends."""
    for line in questions:
        write(json.dumps(trace_reply(json.loads(line))) + "\n")


def main() -> None:
    """Serve requests, with the output of libraries kept apart from the answers."""
    die_with_parent()
    serve_traces(sys.stdin, own_answers().write)


if __name__ == "__main__":
    main()
