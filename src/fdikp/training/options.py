"""A recipe from command-line arguments: a name, and any field of it."""

import argparse
import dataclasses
import textwrap
import types
import typing
from collections.abc import Sequence
from typing import Any, Literal

from fdikp.training.recipe import Recipe
from fdikp.training.recipes import RECIPES, named

ABOUT = f"""Train FDIKP: on real pairs, or on defocus rendered from sharp photographs.

RECIPE says what to train and how, and any option changes a field of it.
Without one it is lite, or with --from fine-tune.

Recipes:
{textwrap.fill(", ".join(RECIPES), 76, break_on_hyphens=False)}"""


def split(arguments: Sequence[str]) -> tuple[Recipe, list[str]]:
    """The recipe that the first argument names, or the default one, and the other arguments.

    >>> recipe, rest = split(["base", "--from", "x.safetensors"])
    >>> recipe.config, rest
    ('fdikp-base', ['--start', 'x.safetensors'])

    Raises:
        TrainingError: there is no recipe of that name.
    """
    rest = [_as_start(argument) for argument in arguments]
    if rest and not rest[0].startswith("-"):
        return named(rest[0]), rest[1:]
    given = any(argument.partition("=")[0] == "--from" for argument in arguments)
    return RECIPES["fine-tune" if given else "lite"], rest


def _as_start(argument: str) -> str:
    """`--from`, which cannot be a field's name in Python, as the field `start`."""
    flag, equals, value = argument.partition("=")
    return f"--start{equals}{value}" if flag == "--from" else argument


def parse_fields(recipe: Recipe, arguments: Sequence[str], prog: str, description: str) -> Recipe:
    """A recipe with the fields that the arguments change, by argparse: machines with little installed have no more.

    >>> line = ["--steps", "10", "--data", "d", "--scales", "1", "0", "0", "--no-half"]
    >>> parse_fields(Recipe(), line, "fdikp train", "").scales
    (1.0, 0.0, 0.0)

    Raises:
        SystemExit: help was asked for, or an argument is wrong; both are said.
    """
    parser = argparse.ArgumentParser(
        prog=prog, usage="%(prog)s [options]", description=description, formatter_class=_Help, allow_abbrev=False
    )
    hints = typing.get_type_hints(Recipe)
    for field in dataclasses.fields(Recipe):
        flag = "--" + field.name.replace("_", "-")
        default = getattr(recipe, field.name)
        help = field.metadata["help"].replace("%", "%%")
        parser.add_argument(flag, default=default, help=help, **_parser_options(hints[field.name]))
    given: dict[str, Any] = vars(parser.parse_args(arguments))
    values: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in given.items()}
    return Recipe(**values)


class _Help(argparse.ArgumentDefaultsHelpFormatter, argparse.RawDescriptionHelpFormatter):
    """Defaults shown, paragraphs kept."""


def _parser_options(hint: Any) -> dict[str, Any]:
    """What argparse needs to know of a field's type."""
    origin, parts = typing.get_origin(hint), typing.get_args(hint)
    if hint is bool:
        return {"action": argparse.BooleanOptionalAction}
    if origin is Literal:
        return {"choices": parts}
    if origin is tuple:
        return {"nargs": "+" if parts[-1] is Ellipsis else len(parts), **_parser_options(parts[0])}
    if origin is types.UnionType:
        return {"type": parts[0]}
    return {"type": hint}
