"""What `--help` says: plain words, and examples that are commands."""

import re
import shlex
from collections.abc import Callable
from typing import Any

import pytest
import typer
from cli_outcome import Outcome

from skelab.cli.help import EXAMPLES, plain_name
from skelab.cli.main import app

Skelab = Callable[..., Outcome]


def commands() -> dict[str, Any]:
    """Every command, as typer builds it."""
    group: Any = typer.main.get_command(app)
    return dict(group.commands)


@pytest.mark.parametrize("name", sorted(commands()))
def test_every_help_speaks_plainly_and_ends_with_examples(name: str, skelab: Skelab) -> None:
    done = skelab(name, "--help")

    assert done.status == 0
    assert f"Usage: skelab {name}" in done.out
    assert not re.search(r"[<>{}]|list\[", re.sub(r"\[[^]]*[<>]=[^]]*\]|> mine", "", done.out))
    assert done.out.rstrip().split("\n")[-1].strip() == EXAMPLES[name][-1]


@pytest.mark.parametrize("name", sorted(EXAMPLES))
def test_every_example_is_a_command_with_options_that_it_has(name: str) -> None:
    known = {option for param in commands()[name].params for option in param.opts}

    for line in EXAMPLES[name]:
        words = shlex.split(line)
        assert words[:2] == ["skelab", name]
        assert {word for word in words if word.startswith("--")} <= known, line


@pytest.mark.parametrize(
    ("text", "kind", "plain"),
    [
        ("--set <list[str]>", "option", "--set TEXT"),
        ("--data <path>", "option", "--data PATH"),
        ("--top <int range>", "option", "--top N"),
        ("--part <test|validation>", "option", "--part test|validation"),
        ("files <list[path]>", "argument", "FILES..."),
        ("recipe <str>", "argument", "RECIPE"),
        ("--set TEXT", "option", "--set TEXT"),  # as older releases of typer write it
        ("RECIPE", "argument", "RECIPE"),
    ],
)
def test_types_become_one_word(text: str, kind: str, plain: str) -> None:
    assert plain_name(text, kind) == plain


def test_a_setting_given_as_an_option_is_answered_with_its_key(skelab: Skelab) -> None:
    option = skelab("train", "ctrgcn", "--epochs", 3)
    override = skelab("train", "ctrgcn", "--set", "epochs=2")

    assert (option.status, override.status) == (2, 2)
    assert "it is a setting of the recipe: --set training.epochs=VALUE" in option.err
    assert "--set training.epochs=2" in override.err
    assert "see skelab train --help" in skelab("train", "ctrgcn", "--epoch", 3).err


def test_one_recipe_is_printed_whole(skelab: Skelab) -> None:
    text, content = skelab("recipes", "ctrgcn-small"), skelab("recipes", "ctrgcn-small", "--json")

    assert text.out.startswith("name: ctrgcn-small\n")
    assert "epochs: 40" in text.out
    assert content.json["training"]["epochs"] == 40
    assert "did you mean 'ctrgcn-small'" in skelab("recipes", "ctrgcn-smal").err
