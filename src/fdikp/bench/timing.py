"""Timing of calls that compares them fairly on a machine with other load."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import median, quantiles

import torch

Call = Callable[[], object]


@dataclass(frozen=True)
class Times:
    """Seconds of one call in each run."""

    seconds: tuple[float, ...]

    @property
    def median(self) -> float:
        """The median run."""
        return median(self.seconds)

    @property
    def spread(self) -> tuple[float, float]:
        """The first and third quartile; for fewer than three runs, minimum and maximum.

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
    """Time calls in turn: each once per round, in an order that rotates from round to round.

    The speed of a machine drifts, and the first call of a round finds other cache contents than the last. So all calls
    meet the same drift, and each comes first equally often. The device is synchronised before each clock reading.

    Args:
        calls: by name.
        runs: rounds that count.
        warm_up: rounds before them that do not count.
        device: where the calls run.
        clock: returns seconds.
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
    """The time of one call divided by that of another, round by round, so that common drift cancels."""
    return Times(tuple(a / b for a, b in zip(one.seconds, other.seconds, strict=True)))


def synchronise(device: torch.device) -> None:
    """Wait until the device has finished all queued work."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()
