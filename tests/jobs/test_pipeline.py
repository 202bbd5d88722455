"""The pipeline: order, what is under way at once, and its end, whatever goes wrong where."""

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fdikp.jobs.pipeline import pipeline

STAGES = ("read", "process", "write")


class BoomError(Exception):
    pass


class Recorder:
    """Three stages that only wait for given times, fail at given items, and keep a diary."""

    def __init__(
        self,
        weights: list[int],
        naps: dict[tuple[str, int], float] | None = None,
        fails: dict[tuple[str, int], BaseException] | None = None,
    ) -> None:
        self.weights = weights
        self.naps, self.fails = naps or {}, fails or {}
        self.diary: list[tuple[str, int]] = []
        self.lock = threading.Lock()
        self.threads: dict[str, set[threading.Thread]] = {stage: set() for stage in STAGES}
        self.under_way: set[int] = set()
        self.most = 0
        self.beside: list[int] = []
        """For each item, as its reading begins, what the others under way weigh."""

    def stage(self, name: str) -> Callable[[int], int]:
        def run(item: int) -> int:
            with self.lock:
                self.threads[name].add(threading.current_thread())
                if name == "read":
                    self.beside.append(sum(self.weights[other] for other in self.under_way))
                    self.under_way.add(item)
                    self.most = max(self.most, len(self.under_way))
            time.sleep(self.naps.get((name, item), 0))
            if (name, item) in self.fails:
                raise self.fails[name, item]
            with self.lock:
                self.diary.append((name, item))
                if name == "write":
                    self.under_way.remove(item)
            return item

        return run

    def run(self, max_weight: int = 10**9) -> None:
        pipeline(
            range(len(self.weights)),
            *map(self.stage, STAGES),
            weight=self.weights.__getitem__,
            max_weight=max_weight,
        )

    def of(self, stage: str) -> list[int]:
        return [item for name, item in self.diary if name == stage]


naps = st.dictionaries(st.tuples(st.sampled_from(STAGES), st.integers(0, 7)), st.sampled_from([0.001, 0.004]))


@settings(max_examples=60)
@given(weights=st.lists(st.integers(0, 9), max_size=8), naps=naps, max_weight=st.integers(0, 20))
def test_order_and_bounds(weights: list[int], naps: dict[tuple[str, int], float], max_weight: int) -> None:
    recorder = Recorder(weights, naps)
    recorder.run(max_weight)
    everything = list(range(len(weights)))
    assert [recorder.of(stage) for stage in STAGES] == [everything] * 3
    for item in everything:
        places = [recorder.diary.index((stage, item)) for stage in STAGES]
        assert places == sorted(places)
    assert recorder.most <= 3
    assert all(weight <= max_weight for weight in recorder.beside)


@settings(max_examples=60)
@given(
    count=st.integers(1, 7),
    stage=st.sampled_from(STAGES),
    where=st.integers(0, 6),
    naps=naps,
    error=st.sampled_from([BoomError, KeyboardInterrupt, SystemExit]),
)
def test_an_exception_of_any_stage_comes_out_and_every_thread_ends(
    count: int, stage: str, where: int, naps: dict[tuple[str, int], float], error: type[BaseException]
) -> None:
    where %= count
    before = set(threading.enumerate())
    raised = error("here")
    recorder = Recorder([1] * count, naps, {(stage, where): raised})
    with pytest.raises(error) as caught:
        recorder.run()
    assert caught.value is raised
    assert set(threading.enumerate()) <= before
    # What was worked on is written, and of what follows the failed item, no more than was under way
    assert recorder.of("write") == [item for item in recorder.of("process") if (stage, item) != ("write", where)]
    if stage != "write":
        assert recorder.of("process") == list(range(where))
    assert len(recorder.of("read")) <= where + 3


@pytest.mark.parametrize(
    ("max_weight", "together"),
    [(4, {"read": 2, "process": 1, "write": 0}), (2, {"read": 1, "process": 0}), (0, {"read": 2, "write": 1})],
)
def test_stages_run_side_by_side_in_threads_of_their_own(max_weight: int, together: dict[str, int]) -> None:
    """The stages meet, each at its item, which they could not if one waited for another."""
    recorder = Recorder([2, 2, 2] if max_weight else [2, 0, 2])
    meeting = threading.Barrier(len(together), timeout=30)

    def met(name: str) -> Callable[[int], int]:
        stage = recorder.stage(name)

        def run(item: int) -> int:
            if together.get(name) == item:
                meeting.wait()
            return stage(item)

        return run

    pipeline(range(3), *map(met, STAGES), weight=recorder.weights.__getitem__, max_weight=max_weight)
    assert [len(threads) for threads in recorder.threads.values()] == [1, 1, 1]
    assert recorder.threads["process"] == {threading.current_thread()}
    assert len(set.union(*recorder.threads.values())) == 3


def test_a_heavy_item_is_alone() -> None:
    recorder = Recorder([1, 9, 1, 1], {("write", 1): 0.02})
    recorder.run(max_weight=5)
    assert recorder.diary.index(("write", 1)) < recorder.diary.index(("read", 2))


def test_items_are_asked_for_one_by_one() -> None:
    asked: list[int] = []

    def items() -> Iterator[int]:
        for item in range(5):
            asked.append(item)
            yield item

    def work(item: int) -> Any:
        assert len(asked) <= item + 2

    pipeline(items(), lambda item: item, work, lambda made: None, weight=lambda item: 0, max_weight=0)
    assert asked == list(range(5))


def test_nothing_to_do() -> None:
    Recorder([]).run()
