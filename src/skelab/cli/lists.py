"""`skelab models`, `recipes`, `layouts`, `datasets`: what there is, and where it comes from."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from skelab.cli.output import print_entries, print_json, print_table, result, say

if TYPE_CHECKING:
    from skelab.data.recordings import DatasetCard
    from skelab.models import ModelCard
    from skelab.skeleton import JointMap

AsJson = Annotated[bool, typer.Option("--json", help="Print the list as JSON.")]


def models(
    action: Annotated[
        str | None, typer.Argument(help="fetch: put models of others into the cache.")
    ] = None,
    what: Annotated[
        str | None, typer.Argument(help="pose: BlazePose, for people in videos.")
    ] = None,
    variant: Annotated[
        str, typer.Option(help="To fetch: size of the landmark model, full, lite or heavy.")
    ] = "full",
    source: Annotated[
        Path | None,
        typer.Option("--from", help="To fetch: folder, wheel or npm package that is here already."),
    ] = None,
    as_json: AsJson = False,
    as_markdown: Annotated[
        bool, typer.Option("--markdown", help="Print the reference page of the documentation.")
    ] = False,
    published: Annotated[
        bool, typer.Option("--published", help="Print the ledger of published figures, Markdown.")
    ] = False,
    sort: Annotated[
        str | None,
        typer.Option(
            help="Compare the families in a table, the best first: by name, accuracy, parameters,"
            " flops, latency or memory."
        ),
    ] = None,
) -> None:
    """List the model families with source, licence and reported accuracy.

    `skelab models fetch pose` puts the models that find people in videos into the cache. They are
    data files inside public packages, which your own pip (and npm, for the sizes lite and heavy)
    downloads by name and version; nothing is installed, and their checksums are verified.
    """
    if action is not None:
        _fetch_models(action, what, variant, source)
        return
    from skelab.models import list_models, models_page, sorted_cards

    if published:
        from skelab.models.published import published_page

        typer.echo(published_page(), nl=False)
        return

    cards = list_models()
    if sort is not None:
        _print_compared(sorted_cards(cards, sort), as_json)
        return
    if as_markdown:
        typer.echo(models_page(cards), nl=False)
        return
    if as_json:
        print_json([card.to_dict() for card in cards])
        return
    print_entries({card.name: list(_describe(card)) for card in cards})


def _fetch_models(action: str, what: str | None, variant: str, source: Path | None) -> None:
    """Put models of others into the cache."""
    from skelab.errors import PoseError, unknown_name
    from skelab.pose.model_files import fetch_pose_models

    if action != "fetch":
        raise PoseError(unknown_name("thing to do with models", action, ["fetch"]))
    if what != "pose":
        raise PoseError(unknown_name("kind of models", what or "", ["pose"]))
    for path in fetch_pose_models(variant, source=source, on_message=say):
        result(str(path))


def recipes(
    name: Annotated[str | None, typer.Argument(help="Print this one as YAML.")] = None,
    as_json: AsJson = False,
    schema: Annotated[
        bool, typer.Option("--schema", help="Print the JSON schema of a recipe, for editors.")
    ] = False,
    plan_schema: Annotated[
        bool, typer.Option("--plan-schema", help="Print the JSON schema of a study's plan.")
    ] = False,
) -> None:
    """List the recipes that come with the lab, or print one, every setting written out."""
    if schema:
        from skelab.recipes.schema import recipe_schema

        print_json(recipe_schema())
        return
    if plan_schema:
        from skelab.studies import schema as of_plans

        print_json(of_plans.plan_schema())
        return
    from skelab.recipes import list_recipes, load_recipe

    if name is not None:
        recipe = load_recipe(name)
        if as_json:
            print_json(recipe.model_dump(mode="json"))
        else:
            typer.echo(recipe.to_yaml(), nl=False)
        return
    found = list_recipes()
    if as_json:
        print_json([recipe.model_dump(mode="json") for recipe in found])
        return
    rows = [
        (
            recipe.name,
            str(recipe.training.epochs),
            str(recipe.training.batch_size),
            recipe.summary,
        )
        for recipe in found
    ]
    print_table(["recipe", "epochs", "batch", "for"], rows, right="epochs,batch")


def layouts(
    compared: Annotated[
        tuple[str, str] | None,
        typer.Option("--map", metavar="A B", help="Print which joints two layouts share."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List the skeleton layouts: joints, axes, and the data sets that use them."""
    from skelab.skeleton import get_layout, list_layouts, match_joints

    if compared is not None:
        source, target = map(get_layout, compared)
        _print_joint_map(match_joints(source, target), as_json)
        return
    found = list_layouts()
    if as_json:
        print_json([layout.to_dict() for layout in found])
        return
    rows = [
        (layout.name, str(layout.num_joints), " ".join(layout.axes), layout.title)
        for layout in found
    ]
    print_table(["layout", "joints", "axes", "recorded by, used in"], rows, right="joints")


def datasets(as_json: AsJson = False) -> None:
    """List the public data sets: classes, layout, splits, official counts, licence."""
    from skelab.data.datasets import list_datasets

    found = list_datasets()
    if as_json:
        print_json([card.to_dict() for card in found])
        return
    columns = ["data set", "classes", "layout", "split", "train", "test", "licence"]
    rows = [row for card in found for row in _dataset_rows(card)]
    print_table(columns, rows, right="classes,train,test", whole="data set,split")


def _dataset_rows(card: "DatasetCard") -> Iterator[tuple[str, ...]]:
    """A row for each split, or one without; what is the same for all stands in the first."""
    head = (card.name, str(len(card.classes)), card.layout)
    licence = card.licence
    if not card.splits:
        yield (*head, "none published", "", "", licence)
    for split in card.splits:
        sizes = card.counts.get(split.name)
        counted = tuple(f"{size:,}" for size in sizes) if sizes else ("", "")
        yield (*head, split.name, *counted, licence)
        head, licence = ("", "", ""), ""
    if not card.splits:
        yield (*head, "", "", "", licence)


def _print_joint_map(joints: "JointMap", as_json: bool) -> None:
    source, target = joints.source, joints.target
    if as_json:
        pairs = [
            {
                "source": source.joints[pair.source],
                "target": target.joints[pair.target],
                "same": pair.same,
            }
            for pair in joints.pairs
        ]
        print_json(
            {
                "source": source.name,
                "target": target.name,
                "pairs": pairs,
                "source_only": joints.source_only,
                "target_only": joints.target_only,
            }
        )
        return
    rows = [
        (source.joints[pair.source], target.joints[pair.target], "same" if pair.same else "near")
        for pair in joints.pairs
    ]
    rows += [(name, "-", "") for name in joints.source_only]
    rows += [("-", name, "") for name in joints.target_only]
    print_table([source.name, target.name, "match"], rows)
    result(f"{len(joints.pairs)} joints of {source.name} have a counterpart in {target.name}")


def _print_compared(cards: Sequence["ModelCard"], as_json: bool) -> None:
    """What the families reach and cost, in this order."""
    from skelab.models import COMPARED, compared_figures, measured_families

    measured = measured_families()
    if as_json:
        costs = measured.families
        print_json(
            [
                {**card.to_dict(), "cost": asdict(costs[card.name]) if card.name in costs else None}
                for card in cards
            ]
        )
        return
    rows = [(card.name, *compared_figures(card)) for card in cards]
    print_table(["model", *COMPARED], rows, right=",".join(COMPARED), whole="model")
    result("top-1 of joints on NTU60 xsub as others printed it; a clip of two bodies, one thread")
    result(f"measured on {measured.machine}, PyTorch {measured.torch}")


def _describe(card: "ModelCard") -> Iterator[tuple[str, str | Text]]:
    yield "", Text(card.title, style="bold")
    yield "paper", f"{card.paper} arXiv:{card.arxiv}" if card.arxiv else card.paper
    yield "weights", f"{card.num_parameters:,} (60 classes, 25 joints)"
    yield "authors' code", f"{card.code} ({card.code_licence})"
    yield "this code", card.licence
    for entry in card.reported:
        figure = f"{entry.top1:.1f} {entry.dataset} {entry.split}, {entry.streams}"
        yield "reported top-1", f"{figure}  [{entry.source}]"
