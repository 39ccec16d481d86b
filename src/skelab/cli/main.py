"""`skelab`: finds the command, runs it, and turns an error into one line and an exit status.

Exit 0: done. 2: the user's mistake, one line on stderr. 1: a fault of ours. 130: stopped by Ctrl-C.
"""

import contextlib
import errno
import os
import sys
from collections.abc import Sequence
from functools import partial
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
    features,
    fit,
    ingest,
    inspect,
    lists,
    predict,
    report,
    sequences,
    study,
    synth,
    train,
    view,
    weights,
)
from skelab.cli.help import PlainCommand
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
command = partial(app.command, cls=PlainCommand)
command()(demo.demo)
command("fit")(fit.fit_command)
command()(synth.synth)
command()(ingest.ingest)
command("features")(features.features)
command()(inspect.inspect)
command("convert")(convert.convert_command)
command()(train.train)
command()(evaluate.evaluate)
command()(anticipate.anticipate)
command("next")(sequences.next_command)
command()(sequences.detect)
command()(ensemble.ensemble)
command()(report.report)
command("study")(study.study_command)
command()(predict.predict)
command("view")(view.view_command)
command()(export.export)
command()(weights.import_weights)
command()(weights.export_weights)
command("bench")(bench.bench_command)
command()(doctor.doctor)
command()(lists.models)
command()(lists.recipes)
command()(lists.layouts)
command()(lists.datasets)


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
    if setting := _setting_of(getattr(error, "option_name", None)):
        return (
            f"{error.format_message().rstrip('.')}; it is a setting of the recipe: --set"
            f" {setting}=VALUE with skelab train"
        )
    return f"{error.format_message().rstrip('.')}; see {where} --help"


def _setting_of(option: str | None) -> str | None:
    """The setting of a recipe that somebody gave as an option of its own, say ``--epochs``."""
    if not option:
        return None
    from skelab.recipes import whole_key

    return whole_key(option.lstrip("-").replace("-", "_"))


def _complain(message: str) -> None:
    line = printable(" ".join(message.split()))
    with contextlib.suppress(OSError):  # nobody reads it: the status still tells
        typer.echo(f"skelab: {line}", err=True)
