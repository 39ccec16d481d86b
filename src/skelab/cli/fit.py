"""`skelab fit`: can this machine, or a card that is not there, run skeleton networks?"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from skelab.cli.data import check_data, open_data
from skelab.cli.output import next_command, print_json, print_table, progress, result, say
from skelab.cli.paths import Force, named
from skelab.errors import OutputError

if TYPE_CHECKING:
    from skelab.fit import FitReport


def fit_command(
    models: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[MODEL]...", help="Family, recipe or recipe file; all families by default."
        ),
    ] = None,
    device: Annotated[
        str, typer.Option(help="What is measured: auto (a GPU if there is one), cpu, cuda:0.")
    ] = "auto",
    gpu: Annotated[
        str | None, typer.Option(help='Predict for this card instead, say "RTX 3060".')
    ] = None,
    vram: Annotated[
        str | None,
        typer.Option(help="Predict for any card with so much memory, say 8GB; or --gpu with it."),
    ] = None,
    clips: Annotated[
        int | None,
        typer.Option(min=1, help="Training clips; those of the recipe's data set by default."),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option("--data", help="Clip store or npz of your own: its clips are counted."),
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="Within a minute; what is done without --thorough.")
    ] = False,
    thorough: Annotated[
        bool,
        typer.Option("--thorough", help="Try every precision and policy, search by running."),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
    html: Annotated[
        Path | None,
        typer.Option(
            "--html", help="Write everything as one HTML page.", parser=named, metavar="FILE"
        ),
    ] = None,
    recipe_out: Annotated[
        Path | None,
        typer.Option(
            "--recipe-out",
            help="Write the recommended recipe, for skelab train.",
            parser=named,
            metavar="FILE",
        ),
    ] = None,
    force: Force = False,
) -> None:
    """Can this machine train and run skeleton networks comfortably, and with which settings?"""
    if quick and thorough:
        raise typer.BadParameter("--quick and --thorough are opposites: give one of them")
    if device != "auto" and (gpu is not None or vram is not None):
        raise typer.BadParameter("--device measures, --gpu and --vram predict: give one of them")
    if data is not None and clips is not None:
        raise typer.BadParameter("--data and --clips both say how many clips train: give one")
    check_data(data)

    from skelab.files.kinds import PAGE, RECIPE
    from skelab.files.output import check_output
    from skelab.fit.demand import read_recipe

    for asked in models or ():
        read_recipe(asked)

    from skelab.fit import FitStopped
    from skelab.fit import fit as find_out

    inputs = [Path(model) for model in models or ()]
    if html is not None:
        check_output(html, PAGE, inputs=inputs, force=force)
    if recipe_out is not None:
        check_output(recipe_out, RECIPE, inputs=inputs, force=force)

    store = open_data(data, None, None, None) if data else None
    try:
        with progress("looking", unit="networks") as bar:

            def tell(what: str, done: int, total: int) -> None:
                bar(done, total)
                bar.note(what)

            report = find_out(
                models or (),
                device=device,
                gpu=gpu,
                vram=vram,
                clips=clips,
                data=store,
                thorough=thorough,
                on_progress=tell,
            )
    except FitStopped as stopped:
        if stopped.report.models:
            say(f"stopped; networks that were done: {len(stopped.report.models)}")
            _show(stopped.report, as_json)
        raise KeyboardInterrupt from None
    _show(report, as_json)
    if html is not None:
        _write_page(html, report)
    if recipe_out is not None:
        _write_recipe(recipe_out, report)


def _show(report: "FitReport", as_json: bool) -> None:
    from skelab.fit.tables import (
        OPTIONS,
        SHORT,
        device_line,
        notes,
        option_rows,
        remarks,
        short_rows,
    )

    if as_json:
        print_json(report.to_dict())
        return
    result(report.answer)
    result(device_line(report))
    kept = ",".join(name for name in SHORT if name != "settings")
    print_table(SHORT, short_rows(report), right="clips,GiB,epoch,full", whole=kept)
    if report.thorough or len(report.models) == 1:
        numbers = ",".join(OPTIONS[3:])
        print_table(OPTIONS, option_rows(report.models), title="options tried", right=numbers)
    for model in report.models:
        result(f"{model.model}: {model.verdict.value}; {model.reason}")
    for text in [*remarks(report), *notes(report)]:
        result(f"note: {text}")
    if report.recommended:
        result(f"recommended: {report.recommended}; --recipe-out FILE writes the recipe")


def _write_page(path: Path, report: "FitReport") -> None:
    from skelab.fit.page import write_fit_page

    write_fit_page(path, report)
    say(f"page: {path}")


def _write_recipe(path: Path, report: "FitReport") -> None:
    from skelab.files.atomic import atomic_write
    from skelab.fit.verdict import recipe_file

    text = recipe_file(report)
    if not text:
        raise OutputError(
            f"{path}: not written, since none of the networks asked about can be trained there"
        )
    with atomic_write(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
    command = next_command("train", path, "--data", "STORE", "--out", "RUN")
    say(f"recipe: {path}; {command}")
