"""recipe.json in a run's folder: the recipe that the run was last started with."""

import json
from pathlib import Path
from typing import Any

from fdikp.errors import TrainingError
from fdikp.files import atomic_write
from fdikp.training.recipe import Recipe

RECIPE_FILE = "recipe.json"


def write_recipe(recipe: Recipe) -> None:
    """Write a recipe to the output folder of its run.

    Raises:
        OSError: it cannot be written; an existing file is unchanged.
    """
    with atomic_write(recipe.runtime.output / RECIPE_FILE) as file:
        file.write(json.dumps(recipe.to_dict(), indent=2).encode() + b"\n")


def read_recipe(run: Path) -> Recipe:
    """The recipe that a run was last started with.

    Raises:
        TrainingError: there is none, it is damaged, or it was written by another version of fdikp.
    """
    try:
        return Recipe.from_dict(_read(run))
    except (ValueError, TypeError) as error:
        raise TrainingError(f"{run / RECIPE_FILE}: was written by another version of fdikp ({error})") from error


def read_options(run: Path) -> dict[str, Any]:
    """The options that a run was last started with, by the names of the version that wrote them, without groups.

    Raises:
        TrainingError: there are none, or they are damaged.
    """
    options: dict[str, Any] = {}
    for name, value in _read(run).items():
        options |= value if isinstance(value, dict) else {name: value}
    return options


def _read(run: Path) -> dict[str, Any]:
    file = run / RECIPE_FILE
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise TrainingError(f"{run}: no {RECIPE_FILE}; give the folder of a run") from error
    except ValueError as error:
        raise TrainingError(f"{file}: is damaged ({error})") from error
    if not isinstance(values, dict):
        raise TrainingError(f"{file}: is damaged (it holds no options)")
    return values
