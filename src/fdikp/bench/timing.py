"""Times of calls that can be compared on a machine that is not quiet."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import median, quantiles

import torch

Call = Callable[[], object]


@dataclass(frozen=True)
class Times:
    """Seconds of one call, run by run."""

    seconds: tuple[float, ...]

    @property
    def median(self) -> float:
        """The middle run."""
        return median(self.seconds)

    @property
    def spread(self) -> tuple[float, float]:
        """The first and the third quartile; of fewer than three runs the extremes.

        >>> Times((1.0, 2.0, 3.0, 4.0, 5.0)).spread
        (2.0, 4.0)
        """
        if len(self.seconds) < 3:
            return min(self.seconds), max(self.seconds)
        low, _, high = quantiles(self.seconds, n=4, method="inclusive")
        return low, high


def in_turn(
    calls: Mapping[str, Call],
    runs: int,
    warm_up: int = 1,
    device: torch.device = torch.device("cpu"),  # noqa: B008 (a constant)
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, Times]:
    """Time calls side by side: each once in every round, in an order that turns from round to round.

    A machine's speed drifts, and what runs first in a round may find other caches than what runs last; so all calls
    meet the same drift, and each comes first as often as the others. Work that a device does behind our back is
    waited for before each reading of the clock.

    Args:
        calls: by name.
        runs: rounds that count.
        warm_up: rounds that do not, first.
        device: what the calls run on.
        clock: seconds.
    """
    names = list(calls)
    seconds: dict[str, list[float]] = {name: [] for name in names}
    for number in range(-warm_up, runs):
        first = number % len(names)
        for name in names[first:] + names[:first]:
            synchronise(device)
            started = clock()
            calls[name]()
            synchronise(device)
            if number >= 0:
                seconds[name].append(clock() - started)
    return {name: Times(tuple(taken)) for name, taken in seconds.items()}


def ratio(one: Times, other: Times) -> Times:
    """How many times as long one call took as another, round by round: drift that meets both cancels."""
    return Times(tuple(a / b for a, b in zip(one.seconds, other.seconds, strict=True)))


def synchronise(device: torch.device) -> None:
    """Wait for what the device was given to do."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()
