"""A recipe from command-line arguments: the name of a recipe, and flags for its options."""

import argparse
import dataclasses
import difflib
import re
import textwrap
import types
import typing
from collections.abc import Sequence
from functools import partial
from typing import Any, Literal, NoReturn

from fdikp.errors import TrainingError
from fdikp.training.recipe import GROUP_OF, GROUPS, Recipe
from fdikp.training.recipes import RECIPES, named


def choose_recipe(arguments: Sequence[str]) -> tuple[Recipe, list[str]]:
    """The recipe that the first argument names, or the default one, and the other arguments.

    >>> recipe, rest = choose_recipe(["base", "--lr", "1e-4"])
    >>> recipe.network.config, rest
    ('fdikp-base', ['--lr', '1e-4'])

    Raises:
        TrainingError: there is no recipe of that name.
    """
    if arguments and not arguments[0].startswith("-"):
        return named(arguments[0]), list(arguments[1:])
    from_weights = any(argument.partition("=")[0] == "--from" for argument in arguments)
    return RECIPES["fine-tune" if from_weights else "lite"], list(arguments)


def parse_options(recipe: Recipe, arguments: Sequence[str], usage: str, description: str) -> Recipe:
    """A recipe with the options that the arguments change.

    >>> parse_options(Recipe(), ["--data", "d", "--scales", "1", "0", "0"], "", "").loss.scales
    (1.0, 0.0, 0.0)

    Raises:
        TrainingError: an argument is wrong; the message is one line.
        SystemExit: help was asked for, and is printed.
    """
    parser = Parser(usage=usage, description=description, formatter_class=_Formatter, allow_abbrev=False)
    for group in GROUPS.values():
        title = (group.__doc__ or "").rstrip(".")
        section = parser.add_argument_group(title)
        hints = typing.get_type_hints(group)
        for field in dataclasses.fields(group):
            default = getattr(getattr(recipe, GROUP_OF[field.name]), field.name)
            section.add_argument(
                *field.metadata["flags"][:-1],
                flag_of(field.name),
                dest=field.name,
                default=default,
                help=field.metadata["help"].replace("%", "%%") + _default_text(default),
                **_parser_options(hints[field.name], field.metadata["metavar"], field.metadata["aliases"]),
            )
    given, unknown = parser.parse_known_args(arguments)
    if unknown:
        close = difflib.get_close_matches(unknown[0].partition("=")[0], parser._option_string_actions, n=1)
        raise TrainingError(f"unknown argument {unknown[0]}" + (f"; did you mean {close[0]}?" if close else ""))
    options = {name: tuple(value) if isinstance(value, list) else value for name, value in vars(given).items()}
    return recipe.override(**options)


def _full_name(aliases: dict[str, str], value: str) -> str:
    return aliases.get(value, value)


def flag_of(option: str) -> str:
    """The flag of an option.

    >>> flag_of("start"), flag_of("ema_decay"), flag_of("output")
    ('--from', '--ema-decay', '--output')
    """
    flags: tuple[str, ...] = _FIELDS[option].metadata["flags"]
    return flags[-1] if flags else "--" + option.replace("_", "-")


_FIELDS = {field.name: field for group in GROUPS.values() for field in dataclasses.fields(group)}


def with_flags(message: str) -> str:
    """An error message of training, whose options are written as arguments (`crop=`), with the flags instead.

    >>> with_flags("batch=3: cannot be split; give start= or resume=True")
    '--batch 3: cannot be split; give --from or --resume'
    >>> with_flags("device='cuda:7': no such GPU")
    '--device cuda:7: no such GPU'
    """
    names = "|".join(GROUP_OF)

    def flag(match: re.Match[str]) -> str:
        name, value = match[1], match[2].strip("'")
        return flag_of(name) + (f" {value}" if value not in ("", "True") else "")

    return re.sub(rf"(?<![^\s(])({names})=('[^']*'|[^\s:;,)]*)", flag, message)


class Parser(argparse.ArgumentParser):
    """Reports an error as an exception, so that it is printed like every other error."""

    def error(self, message: str) -> NoReturn:
        """Raise TrainingError."""
        raise TrainingError(message.removeprefix("argument "))


class _Formatter(argparse.RawDescriptionHelpFormatter):
    """Keeps the lines of the description, has room for long flags, and never breaks a flag at a hyphen."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=28)

    def _split_lines(self, text: str, width: int) -> list[str]:
        return textwrap.wrap(text, width, break_on_hyphens=False)


def _default_text(default: Any) -> str:
    """The end of a help text; a flag's own default, off, and a missing value need no words."""
    if default is None or default == () or default is False:
        return ""
    values = default if isinstance(default, tuple) else (default,)
    return f" Default: {' '.join(f'{v:g}' if isinstance(v, float) else str(v) for v in values)}."


def _parser_options(hint: Any, metavar: str | None, aliases: dict[str, str]) -> dict[str, Any]:
    """What argparse needs to know about a field's type."""
    origin, parts = typing.get_origin(hint), typing.get_args(hint)
    if hint is bool:
        return {"action": argparse.BooleanOptionalAction}
    if origin is Literal:
        return {"choices": parts, "type": partial(_full_name, aliases)}
    if origin is tuple:
        return {"nargs": "+" if parts[-1] is Ellipsis else len(parts), **_parser_options(parts[0], metavar, aliases)}
    if origin is types.UnionType:
        return {"type": parts[0], "metavar": metavar}
    return {"type": hint, "metavar": metavar}
