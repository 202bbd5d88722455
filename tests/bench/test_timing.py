"""Times that can be compared: order, drift, and what a device does behind our back."""

import itertools

import pytest
import torch

from fdikp.bench.machine import CHANNELS, convolution, matrix_product
from fdikp.bench.timing import Times, in_turn, ratio


class Machine:
    """A clock that runs on only while calls work, and a machine that gets slower and slower."""

    def __init__(self) -> None:
        self.now, self.speed = 0.0, 1.0
        self.order: list[str] = []

    def call(self, name: str, seconds: float):
        def work() -> None:
            self.order.append(name)
            self.now += seconds / self.speed
            self.speed *= 0.9

        return work

    def clock(self) -> float:
        return self.now


def test_each_call_runs_once_in_every_round_and_each_comes_first_as_often() -> None:
    machine = Machine()
    calls = {name: machine.call(name, 1.0) for name in "abc"}
    times = in_turn(calls, runs=6, warm_up=1, clock=machine.clock)
    rounds = ["".join(each) for each in itertools.batched(machine.order, 3)] if hasattr(itertools, "batched") else [
        "".join(machine.order[n : n + 3]) for n in range(0, 21, 3)
    ]  # fmt: skip
    assert len(rounds) == 7 and all(sorted(each) == list("abc") for each in rounds)
    assert sorted(each[0] for each in rounds[1:]) == list("aabbcc")
    assert all(len(each.seconds) == 6 for each in times.values())


def test_a_ratio_is_taken_round_by_round_so_that_drift_cancels() -> None:
    machine = Machine()
    calls = {"one": machine.call("one", 2.0), "other": machine.call("other", 1.0)}
    times = in_turn(calls, runs=40, clock=machine.clock)
    assert max(times["one"].seconds) > 20 * min(times["one"].seconds)  # the drift is violent
    assert ratio(times["one"], times["other"]).median == pytest.approx(2, rel=0.12)


def test_what_warms_up_does_not_count() -> None:
    machine = Machine()
    first = iter([100.0, *[1.0] * 9])

    def slow_at_first() -> None:
        machine.now += next(first)

    assert in_turn({"a": slow_at_first}, runs=3, warm_up=1, clock=machine.clock)["a"].seconds == (1.0, 1.0, 1.0)


def test_few_runs_have_extremes_for_quartiles() -> None:
    assert Times((3.0, 1.0)).spread == (1.0, 3.0) and Times((3.0, 1.0)).median == 2.0


def test_the_machines_work_is_what_it_is_said_to_be() -> None:
    cpu = torch.device("cpu")
    call, operations = matrix_product(cpu, torch.float32)
    assert operations == pytest.approx(2 * call().shape[0] ** 3 / 1e9)
    call, operations = convolution(cpu, torch.float32)
    out = call()
    assert out.shape[1] == CHANNELS
    assert operations == pytest.approx(2 * 9 * CHANNELS * out.numel() / 1e9)
