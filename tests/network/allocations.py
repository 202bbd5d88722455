"""The allocations that torch makes while a function runs: counts, which are the same on every machine."""

from collections.abc import Callable
from dataclasses import dataclass

from torch.profiler import ProfilerActivity, profile


@dataclass(frozen=True)
class Allocations:
    """Bytes of each allocation on the CPU, in order; negative where memory is freed."""

    steps: tuple[int, ...]

    @property
    def peak(self) -> int:
        """The most memory held at once, in bytes."""
        held = most = 0
        for step in self.steps:
            held += step
            most = max(most, held)
        return most

    def at_least(self, size: int) -> int:
        """The number of allocations of at least this many bytes."""
        return sum(step >= size for step in self.steps)


def allocations(work: Callable[[], object]) -> Allocations:
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        result = work()
    del result
    events = [event for event in profiler.profiler.kineto_results.events() if event.name() == "[memory]"]
    return Allocations(tuple(event.nbytes() for event in sorted(events, key=lambda event: event.start_ns())))
