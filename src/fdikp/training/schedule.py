"""Learning rate, and the clock that a time budget is measured by."""

import math
import time
from collections import deque
from collections.abc import Iterable
from statistics import median

from fdikp.training.recipe import Recipe


class WorkClock:
    """Seconds of work done. A step counts for no more than five times the usual one.

    A training process may be stopped for minutes while something else is measured; that must not eat its budget.
    """

    def __init__(self, seconds: float = 0.0, recent: Iterable[float] = ()) -> None:
        self.seconds = seconds
        self.recent: deque[float] = deque(recent, maxlen=51)
        self._last = time.perf_counter()

    def step(self) -> float:
        """Count the time since the last call as one step; returns what was counted."""
        elapsed = self._lap()
        counted = min(elapsed, 5.0 * median(self.recent)) if len(self.recent) >= 3 else elapsed
        self.recent.append(elapsed)
        self.seconds += counted
        return counted

    def side_work(self, most: float = 60.0) -> None:
        """Count the time since the last call, `most` seconds at most: validation, writing."""
        self.seconds += min(self._lap(), most)

    def _lap(self) -> float:
        now = time.perf_counter()
        elapsed, self._last = now - self._last, now
        return elapsed


def progress(recipe: Recipe, step: int, seconds: float, epochs: float = 0.0) -> float:
    """How much of the budget is used, 0..1: of the steps, the minutes or the epochs, whichever ends first.

    A run without a budget is always at 0.
    """
    used = (step / recipe.steps) if recipe.steps > 0 else 0.0
    used = max(used, seconds / (60.0 * recipe.minutes) if recipe.minutes > 0 else 0.0)
    used = max(used, epochs / recipe.epochs if recipe.epochs > 0 else 0.0)
    return min(1.0, used)


def learning_rate(recipe: Recipe, step: int, done: float) -> float:
    """The rate of a step when `done`, 0..1, of the budget is used: it ends with the budget, whatever that is.

    Linear warm-up over the first steps; then half a cosine to `floor`, `decay` at each of the milestones, a line to
    zero, or no change. The line begins at the step `decay_start`; of a budget in steps it ends with the last one.

    >>> r = Recipe(steps=1000, lr=1.0, warmup=10, floor=0.01)
    >>> [round(learning_rate(r, s, s / 1000), 3) for s in (0, 4, 10, 500, 1000)]
    [0.1, 0.5, 1.0, 0.505, 0.01]
    >>> r = Recipe(lr=1.0, warmup=0, schedule="steps", milestones=(0.4, 0.8), decay=0.5)
    >>> [learning_rate(r, 0, done) for done in (0.0, 0.39, 0.4, 0.8)]
    [1.0, 1.0, 0.5, 0.25]
    >>> r = Recipe(steps=200, lr=1.0, warmup=0, schedule="linear", decay_start=100)
    >>> [learning_rate(r, s, s / 200) for s in (99, 100, 150, 199)]
    [1.0, 1.0, 0.5, 0.01]
    """
    warm = min(1.0, (step + 1) / max(1, recipe.warmup))
    if recipe.schedule == "constant":
        return recipe.lr * warm
    if recipe.schedule == "linear":
        start = recipe.decay_start
        left = (recipe.steps - step) / (recipe.steps - start) if start else 1.0 - done
        return recipe.lr * warm * min(1.0, max(0.0, left))
    if recipe.schedule == "steps":
        return recipe.lr * warm * recipe.decay ** sum(done >= milestone for milestone in recipe.milestones)
    return recipe.lr * warm * (recipe.floor + (1.0 - recipe.floor) * 0.5 * (1.0 + math.cos(math.pi * done)))
