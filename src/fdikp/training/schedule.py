"""Learning rate, progress through the budget, and the clock of a time budget."""

import math
import time
from collections import deque
from collections.abc import Iterable
from statistics import median

from fdikp.training.option_groups import BudgetGroup
from fdikp.training.recipe import Recipe


class WorkClock:
    """Seconds of work. A step counts for at most five times the median of recent steps.

    A training process may be suspended for minutes while something else is measured; that must not use up its budget.
    """

    def __init__(self, seconds: float = 0.0, recent: Iterable[float] = ()) -> None:
        self.seconds = seconds
        self.recent: deque[float] = deque(recent, maxlen=51)
        self._last = time.perf_counter()

    def step(self) -> float:
        """Count the time since the last call as one step; returns the seconds that were counted."""
        elapsed = self._lap()
        counted = min(elapsed, 5.0 * median(self.recent)) if len(self.recent) >= 3 else elapsed
        self.recent.append(elapsed)
        self.seconds += counted
        return counted

    def side_work(self, most: float = 60.0) -> None:
        """Count the time since the last call as validation or writing, at most `most` seconds of it."""
        self.seconds += min(self._lap(), most)

    def _lap(self) -> float:
        now = time.perf_counter()
        elapsed, self._last = now - self._last, now
        return elapsed


def progress(budget: BudgetGroup, step: int, seconds: float, epochs: float = 0.0) -> float:
    """Fraction of the budget that is used, 0..1: of the steps, minutes or epochs, whichever ends first.

    Without a budget it is always 0.
    """
    used = (step / budget.steps) if budget.steps > 0 else 0.0
    used = max(used, seconds / (60.0 * budget.minutes) if budget.minutes > 0 else 0.0)
    used = max(used, epochs / budget.epochs if budget.epochs > 0 else 0.0)
    return min(1.0, used)


def learning_rate(recipe: Recipe, step: int, done: float) -> float:
    """The learning rate of a step when `done`, 0..1, of the budget is used.

    A linear warm-up over the first steps, then by schedule: half a cosine down to `final_lr_scale`; a factor of
    `milestone_lr_scale` at each milestone; a line to zero; or constant. The line starts at the step `decay_start`, and
    ends with the last step of a budget in steps.

    >>> r = Recipe().override(steps=1000, lr=1.0, warmup=10, final_lr_scale=0.01)
    >>> [round(learning_rate(r, s, s / 1000), 3) for s in (0, 4, 10, 500, 1000)]
    [0.1, 0.5, 1.0, 0.505, 0.01]
    >>> r = Recipe().override(lr=1.0, warmup=0, schedule="steps", milestones=(0.4, 0.8), milestone_lr_scale=0.5)
    >>> [learning_rate(r, 0, done) for done in (0.0, 0.39, 0.4, 0.8)]
    [1.0, 1.0, 0.5, 0.25]
    >>> r = Recipe().override(steps=200, lr=1.0, warmup=0, schedule="linear", decay_start=100)
    >>> [learning_rate(r, s, s / 200) for s in (99, 100, 150, 199)]
    [1.0, 1.0, 0.5, 0.01]
    """
    optim = recipe.optim
    peak = optim.lr * min(1.0, (step + 1) / max(1, optim.warmup))
    if optim.schedule == "constant":
        return peak
    if optim.schedule == "linear":
        start, steps = optim.decay_start, recipe.budget.steps
        left = (steps - step) / (steps - start) if start else 1.0 - done
        return peak * min(1.0, max(0.0, left))
    if optim.schedule == "steps":
        return peak * optim.milestone_lr_scale ** sum(done >= milestone for milestone in optim.milestones)
    final = optim.final_lr_scale
    return peak * (final + (1.0 - final) * 0.5 * (1.0 + math.cos(math.pi * done)))
