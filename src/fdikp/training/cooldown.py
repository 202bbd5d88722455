"""A cool-down: the last stretch of a run, branched off into a folder of its own, in which the rate falls to zero.

A run at a constant rate can go on for as long as there is time. What ships is a cool-down of it, or the mean of
several; the run itself is not changed.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from fdikp.errors import TrainingError
from fdikp.training.recipe import Recipe
from fdikp.training.recipe_file import read_recipe, write_recipe

FRACTION = 0.1
"""Length of a cool-down, as a fraction of the steps before it."""


@dataclass(frozen=True)
class Cooldown:
    """A cool-down that can begin, or go on."""

    run: Path
    """Folder of the run that it branches off."""
    recipe: Recipe
    state: dict[str, Any] | None
    """The checkpoint that it begins with; None: it began before and goes on."""

    def begin(self) -> Recipe:
        """Write the folder that a training run can go on from, unless it is there; returns that run's recipe.

        Raises:
            TrainingError: the folder cannot be written.
        """
        from fdikp.files import cannot_be_written
        from fdikp.training.checkpoint import save_checkpoint

        if self.state is not None:
            try:
                self.recipe.out.mkdir(parents=True, exist_ok=True)
                write_recipe(self.recipe)
                save_checkpoint(self.recipe.out, self.state)
            except OSError as error:
                raise TrainingError(cannot_be_written(self.recipe.out, error)) from error
        return replace(self.recipe, resume=True)


def plan_cooldown(run: Path, parse: Callable[[Recipe], Recipe]) -> Cooldown:
    """The cool-down of a run from its newest checkpoint, or one that goes on.

    The rate falls linearly to zero over --steps steps, by default a tenth of those before. Crop and batch are those of
    the phase that the run is in. What ships is the last weights: at a rate of zero they need no average.

    Args:
        run: folder of a run.
        parse: applies the options of the command line to a recipe, and returns what comes out.

    Raises:
        TrainingError: there is no such run, it has made no step, or the options conflict.
    """
    from fdikp.training.checkpoint import has_checkpoint, load_checkpoint

    of_run = read_recipe(run)
    given = parse(_template(of_run, run, 0))
    if given.resume and has_checkpoint(given.out):
        before = read_recipe(given.out)
        given = parse(replace(before, out=given.out, steps=0))
        steps = before.decay_start + given.steps if given.steps else before.steps
        recipe = replace(given, steps=steps, schedule="linear", decay_start=before.decay_start)
        recipe.check()
        return Cooldown(run, recipe, None)
    if has_checkpoint(given.out):
        raise TrainingError(f"{given.out}: has a run in it: go on with --resume, or give another --out")
    state = load_checkpoint(run)
    if state is None or state["step"] < 1:
        raise TrainingError(f"{run}: has no checkpoint yet; wait until the run has written one (--save-every)")
    given = parse(_template(of_run, run, max(0, state["phase"])))
    step = int(state["step"])
    length = given.steps or math.ceil(FRACTION * step)
    recipe = replace(given, schedule="linear", decay_start=step, steps=step + length)
    recipe.check()
    name, average = next(iter(state["averages"].items()))
    return Cooldown(run, recipe, state | {"averages": {name: average}, "phase": -1})


def _template(recipe: Recipe, run: Path, phase: int) -> Recipe:
    """A run's recipe, changed to what a cool-down of it is unless an option says otherwise."""
    now = recipe.phases[min(phase, len(recipe.phases) - 1)]
    return replace(
        recipe,
        out=run.parent / f"{run.resolve().name}-cooldown",
        resume=False,
        steps=0,
        minutes=0.0,
        epochs=0.0,
        share=(1.0,),
        crop=(now.crop,),
        batch=(now.batch,),
        averaging=("none",),
        ema_decay=recipe.ema_decay[:1],
        hint=0.0,
        schedule="linear",
        milestones=(),
    )
