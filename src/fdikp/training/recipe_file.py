"""recipe.json in a run's folder: the options that the run was last started with."""

import json
from pathlib import Path
from typing import Any

from fdikp.errors import TrainingError
from fdikp.files import atomic_write
from fdikp.training.recipe import Recipe

RECIPE = "recipe.json"


def write_recipe(recipe: Recipe) -> None:
    """Write a recipe into the folder of its run.

    Raises:
        OSError: it cannot be written; the file that was there is untouched.
    """
    with atomic_write(recipe.out / RECIPE) as file:
        file.write(json.dumps(recipe.to_dict(), indent=2).encode() + b"\n")


def read_recipe(run: Path) -> Recipe:
    """The recipe that a run was last started with.

    Raises:
        TrainingError: there is none, or it is of another version of fdikp.
    """
    try:
        return Recipe.from_dict(read_options(run))
    except (ValueError, TypeError) as error:
        raise TrainingError(f"{run / RECIPE}: is of another version of fdikp ({error})") from error


def read_options(run: Path) -> dict[str, Any]:
    """The options that a run was last started with, by the names of its version of fdikp.

    Raises:
        TrainingError: there are none, or they are damaged.
    """
    file = run / RECIPE
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise TrainingError(f"{run}: no run there: it has no {RECIPE}; give the folder of a run") from error
    except ValueError as error:
        raise TrainingError(f"{file}: is damaged ({error})") from error
    if not isinstance(values, dict):
        raise TrainingError(f"{file}: is damaged (it holds no options)")
    return values
