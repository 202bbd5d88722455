import pytest

from fdikp.training import schedule
from fdikp.training.option_groups import BudgetGroup
from fdikp.training.recipe import Recipe
from fdikp.training.schedule import WorkClock, learning_rate, progress


class Time:
    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 100.0
        monkeypatch.setattr(schedule.time, "perf_counter", lambda: self.now)


def test_a_pause_of_the_process_does_not_eat_the_budget(monkeypatch):
    time = Time(monkeypatch)
    clock = WorkClock()
    for _ in range(10):
        time.now += 1.0
        clock.step()
    assert clock.seconds == pytest.approx(10.0)
    time.now += 600.0
    assert clock.step() == pytest.approx(5.0)
    time.now += 1.0
    clock.step()
    assert clock.seconds == pytest.approx(16.0)
    time.now += 20.0
    clock.side_work()
    assert clock.seconds == pytest.approx(36.0)
    time.now += 600.0
    clock.side_work()
    assert clock.seconds == pytest.approx(96.0)


def test_a_machine_that_became_slower_is_followed(monkeypatch):
    time = Time(monkeypatch)
    clock = WorkClock()
    for seconds in [1.0] * 30 + [8.0] * 60:
        time.now += seconds
        counted = clock.step()
    assert counted == pytest.approx(8.0)


def test_progress_is_that_of_the_budget_that_ends_first():
    assert progress(BudgetGroup(steps=100), 25, 1e9) == 0.25
    assert progress(BudgetGroup(minutes=10), 10**9, 150.0) == 0.25
    both = BudgetGroup(steps=100, minutes=10)
    assert progress(both, 25, 300.0) == 0.5
    assert progress(both, 75, 300.0) == 0.75
    assert progress(both, 500, 300.0) == 1.0


def test_the_rate_warms_up_and_falls_to_its_floor():
    recipe = Recipe().override(steps=100, lr=2.0, warmup=10, final_lr_scale=0.1)
    rates = [learning_rate(recipe, step, step / 100) for step in range(101)]
    assert rates[:10] == sorted(rates[:10])
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert max(rates) < 2.0
    assert rates[-1] == pytest.approx(0.2)


def test_epochs_are_a_budget_too():
    assert progress(BudgetGroup(epochs=4), 10**9, 1e9, 1.0) == 0.25
    assert progress(BudgetGroup(epochs=4, steps=100), 50, 0.0, 1.0) == 0.5


def test_the_rate_of_steps_falls_at_its_milestones():
    recipe = Recipe().override(lr=1.0, warmup=4, schedule="steps", milestones=(0.5, 0.75), milestone_lr_scale=0.1)
    rates = [learning_rate(recipe, step, step / 100) for step in range(100)]
    assert rates[:4] == [0.25, 0.5, 0.75, 1.0]
    assert rates[49:51] == pytest.approx([1.0, 0.1])
    assert rates[74:76] == pytest.approx([0.1, 0.01])
