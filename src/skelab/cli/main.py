"""`skelab`: finds the command, runs it, and turns an error into one line and an exit status.

Exit 0: done. 2: the user's mistake, one line on stderr. 1: a fault of ours. 130: stopped by Ctrl-C.
"""

import contextlib
import errno
import os
import sys
from collections.abc import Sequence
from typing import Annotated, Any, NoReturn

import typer

from skelab._version import __version__
from skelab.cli import (
    anticipate,
    bench,
    convert,
    demo,
    doctor,
    ensemble,
    evaluate,
    export,
    fit,
    ingest,
    inspect,
    lists,
    predict,
    report,
    study,
    synth,
    train,
    view,
    weights,
)
from skelab.cli.output import printable
from skelab.errors import SkelabError

# typer carries a click of its own in newer releases: the base of its errors is found by kinship.
USAGE_ERROR: type[Exception] = next(
    kind for kind in typer.BadParameter.__mro__ if kind.__name__ == "ClickException"
)

_OF_THE_MACHINE = frozenset(
    (*(errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS), errno.ENAMETOOLONG, errno.ELOOP)
)
"""What is wrong with the machine or a name, wherever it is met: no fault of the lab's."""

STOPPED = 130
"""Exit status after Ctrl-C."""

app = typer.Typer(
    name="skelab",
    help="Skeleton Action Lab: action recognition from human skeletons, on one ordinary machine.",
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command()(demo.demo)
app.command("fit")(fit.fit_command)
app.command()(synth.synth)
app.command()(ingest.ingest)
app.command()(inspect.inspect)
app.command("convert")(convert.convert_command)
app.command()(train.train)
app.command()(evaluate.evaluate)
app.command()(anticipate.anticipate)
app.command()(ensemble.ensemble)
app.command()(report.report)
app.command("study")(study.study_command)
app.command()(predict.predict)
app.command("view")(view.view_command)
app.command()(export.export)
app.command()(weights.import_weights)
app.command()(weights.export_weights)
app.command("bench")(bench.bench_command)
app.command()(lists.models)
app.command()(lists.recipes)
app.command()(lists.layouts)
app.command()(lists.datasets)
app.command()(doctor.doctor)


def _print_version(wanted: bool) -> bool:
    if wanted:
        typer.echo(f"skelab {__version__}")
        raise typer.Exit
    return wanted


@app.callback()
def common(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
) -> None:
    """Skeleton Action Lab: action recognition from human skeletons, on one ordinary machine."""


def run(arguments: Sequence[str]) -> int:
    """Run one command; returns the exit status."""
    debug = "--debug" in arguments
    words = [word for word in arguments if word != "--debug"] or ["--help"]
    if words[0] == "help":  # `skelab help train`, as other tools have it
        words = [*words[1:], "--help"]
    try:
        status = app(words, prog_name="skelab", standalone_mode=False)
        if status == STOPPED:
            raise KeyboardInterrupt  # newer releases of typer give the status instead
        sys.stdout.flush()  # a full disk is found out here, and not when the interpreter ends
        if isinstance(status, int) and status:
            return status  # a command that did a part of its work has said what is missing
    except SkelabError as error:
        if debug:
            raise
        _complain(str(error))
        return 2
    except USAGE_ERROR as error:
        _complain(_usage(error))
        return 2
    except (KeyboardInterrupt, typer.Abort):
        _complain("stopped")
        return STOPPED
    except BrokenPipeError:  # the reader of our output has gone, say `| head`
        _forget_output()
        return 0
    except Exception as error:
        if debug:
            raise
        if isinstance(error, OSError) and error.errno in _OF_THE_MACHINE:
            _complain(_worded(error))
            return 2
        _complain(
            f"a fault of skelab, not yours: {type(error).__name__}: {error}."
            " Run it again with --debug and report the traceback"
        )
        return 1
    return 0


def _worded(error: OSError) -> str:
    """What the machine refused; without a file it is what the command prints."""
    if error.filename is None:
        _forget_output()
        return f"the output cannot be written: {error.strerror}; what was printed is not complete"
    return f"{str(error.filename)[:200]}: {error.strerror}"


def _forget_output() -> None:
    """Throw away what cannot be printed, so that the end of the process does not try again."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def leave(status: int) -> NoReturn:
    """End the process with an exit status.

    Of several processes that share a run each ends at once, since threads of gloo that are still
    alive when the interpreter takes C++ down abort it, now and then, after all work is done.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
    sys.exit(status)


def main() -> None:
    """The entry point of the `skelab` command."""
    leave(run(sys.argv[1:]))


def _usage(error: Any) -> str:
    """What was wrong with the words of the command, and where to read what would be right."""
    context = getattr(error, "ctx", None)
    where = context.command_path if context else "skelab"
    return f"{error.format_message().rstrip('.')}; see {where} --help"


def _complain(message: str) -> None:
    line = printable(" ".join(message.split()))
    with contextlib.suppress(OSError):  # nobody reads it: the status still tells
        typer.echo(f"skelab: {line}", err=True)
