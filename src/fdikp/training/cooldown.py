"""A cool-down: the end of a run, branched off into its own folder, in which the learning rate falls to zero.

A run at a constant learning rate can continue for as long as there is time. The weights to use come from a cool-down of
it, or are the mean of several; the run itself is not changed.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fdikp.errors import TrainingError
from fdikp.training.recipe import Recipe
from fdikp.training.recipe_file import read_recipe, write_recipe

FRACTION = 0.1
"""Default length of a cool-down, as a fraction of the steps before it."""


@dataclass(frozen=True)
class Cooldown:
    """A cool-down that can start or continue."""

    run: Path
    """Folder of the run that it branches off."""
    recipe: Recipe
    checkpoint: dict[str, Any] | None
    """The checkpoint that it starts from; None: it has started already and continues."""

    def begin(self) -> Recipe:
        """Write the folder that a training run can continue from, unless it exists; returns that run's recipe.

        Raises:
            TrainingError: the folder cannot be written.
        """
        from fdikp.files import cannot_be_written
        from fdikp.training.checkpoint import save_checkpoint

        output = self.recipe.runtime.output
        if self.checkpoint is not None:
            try:
                output.mkdir(parents=True, exist_ok=True)
                write_recipe(self.recipe)
                save_checkpoint(output, self.checkpoint)
            except OSError as error:
                raise TrainingError(cannot_be_written(output, error)) from error
        return self.recipe.override(resume=True)


def plan_cooldown(run: Path, parse: Callable[[Recipe], Recipe]) -> Cooldown:
    """The cool-down of a run from its newest checkpoint, or one that continues.

    The learning rate falls linearly to zero over `steps` steps, by default a tenth of those before. Crop and batch are
    those of the run's current phase. The last weights are written: at a learning rate of zero they need no average.

    Args:
        run: folder of a run.
        parse: changes a recipe as the user asks; its argument holds the defaults.

    Raises:
        TrainingError: there is no such run, it has no checkpoint yet, or the options conflict.
    """
    from fdikp.training.checkpoint import has_checkpoint, load_checkpoint

    recipe_of_run = read_recipe(run)
    recipe = parse(_defaults(recipe_of_run, run, 0))
    output = recipe.runtime.output
    if recipe.runtime.resume and has_checkpoint(output):
        before = read_recipe(output)
        decay_start = before.optim.decay_start
        recipe = parse(before.override(output=output, steps=0))
        length = recipe.budget.steps
        steps = decay_start + length if length else before.budget.steps
        recipe = recipe.override(steps=steps, schedule="linear", decay_start=decay_start)
        recipe.check()
        return Cooldown(run, recipe, None)
    if has_checkpoint(output):
        raise TrainingError(f"{output}: already has a run; continue it with resume=True, or give another output=")
    checkpoint = load_checkpoint(run)
    if checkpoint is None or checkpoint["step"] < 1:
        raise TrainingError(f"{run}: has no checkpoint yet; wait until the run has written one (save_every=)")
    recipe = parse(_defaults(recipe_of_run, run, max(0, checkpoint["phase"])))
    step = int(checkpoint["step"])
    length = recipe.budget.steps or math.ceil(FRACTION * step)
    recipe = recipe.override(schedule="linear", decay_start=step, steps=step + length)
    recipe.check()
    name, average = next(iter(checkpoint["averages"].items()))
    return Cooldown(run, recipe, checkpoint | {"averages": {name: average}, "phase": -1})


def _defaults(recipe: Recipe, run: Path, phase_index: int) -> Recipe:
    """The recipe of a run's cool-down where no option changes it."""
    phases = recipe.budget.phases
    phase = phases[min(phase_index, len(phases) - 1)]
    return recipe.override(
        output=run.parent / f"{run.resolve().name}-cooldown",
        resume=False,
        steps=0,
        minutes=0.0,
        epochs=0.0,
        phase_lengths=(1.0,),
        crop=(phase.crop,),
        batch=(phase.batch,),
        averaging=("none",),
        ema_decay=recipe.optim.ema_decay[:1],
        radius_hint=0.0,
        schedule="linear",
        milestones=(),
    )
