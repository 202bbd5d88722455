"""A cool-down, branched off a run."""

from dataclasses import replace

import pytest
import torch

from fdikp.errors import TrainingError
from fdikp.training import loop
from fdikp.training.checkpoint import load_checkpoint
from fdikp.training.cooldown import plan_cooldown
from fdikp.training.loop import train
from fdikp.training.recipe_file import read_recipe


@pytest.fixture
def run(recipe):
    """A run at a constant rate that made twenty steps."""
    recipe = replace(
        recipe, schedule="constant", steps=20, ema_decay=(0.9, 0.5), optimizer="muon", batch=(1,), warmup=0
    )
    train(recipe, printed=False)
    return recipe


def same(recipe):
    return recipe


def test_it_goes_on_where_the_run_is_and_ends_at_a_rate_of_zero(run, log_of):
    before = (run.out / "checkpoint.pt").read_bytes()
    recipe = plan_cooldown(run.out, same).begin()
    outcome = train(recipe, printed=False)
    assert recipe.out == run.out.parent / "run-cooldown"
    assert outcome.step == 22 and outcome.done == 1.0  # a tenth more
    lines = log_of(recipe)
    assert [line["step"] for line in lines] == [21, 22]
    assert [line["lr"] for line in lines] == pytest.approx([run.lr, run.lr / 2])
    assert lines[0]["crops"] == 21  # pairs that were not seen before
    state = load_checkpoint(recipe.out)
    assert list(state["averages"]) == ["0.9"]
    network, average = state["network"], state["averages"]["0.9"]
    assert all(torch.equal(value, average[f"module.{name}"]) for name, value in network.items())  # the last weights
    assert not torch.equal(network["output.weight"], load_checkpoint(run.out)["network"]["output.weight"])
    assert (run.out / "checkpoint.pt").read_bytes() == before


def test_its_first_step_is_the_run_s_next(run):
    """At the rate of the run and with its optimiser's state, on the pairs that come next."""
    one = plan_cooldown(run.out, lambda r: replace(r, steps=1, out=run.out.parent / "one")).begin()
    train(one, printed=False)
    train(replace(run, steps=21, resume=True), printed=False)
    networks = [load_checkpoint(folder)["network"] for folder in (one.out, run.out)]
    assert all(torch.equal(value, networks[1][name]) for name, value in networks[0].items())


def test_options_change_it(run, log_of):
    recipe = plan_cooldown(run.out, lambda r: replace(r, steps=3, crop=(80,), out=run.out.parent / "other")).begin()
    train(recipe, printed=False)
    lines = log_of(recipe)
    assert [line["step"] for line in lines] == [21, 22, 23]
    assert lines[-1]["crops_128"] == pytest.approx((20 * 64**2 + 3 * 80**2) / 128**2, rel=1e-3)
    assert read_recipe(recipe.out).crop == (80,)


def test_one_that_was_stopped_goes_on_exactly(run, monkeypatch):
    whole = plan_cooldown(run.out, lambda r: replace(r, steps=4, out=run.out.parent / "whole")).begin()
    train(whole, printed=False)
    parts = plan_cooldown(run.out, lambda r: replace(r, steps=4, out=run.out.parent / "parts")).begin()
    with monkeypatch.context() as patch:
        patch.setattr(loop, "progress", lambda recipe, step, *rest: 1.0 if step >= 22 else 0.0)
        train(parts, printed=False)
    assert load_checkpoint(parts.out)["step"] == 22
    again = plan_cooldown(run.out, lambda r: replace(r, resume=True, out=parts.out)).begin()
    assert (again.steps, again.decay_start) == (24, 20)
    train(again, printed=False)
    one, other = (load_checkpoint(folder)["network"] for folder in (whole.out, parts.out))
    assert all(torch.equal(value, other[name]) for name, value in one.items())


def test_of_a_run_with_phases_it_takes_the_last(recipe):
    phases = {"share": (1, 1), "crop": (64, 80), "averaging": ("none", "swa")}
    train(replace(recipe, steps=4, **phases), printed=False)
    planned = plan_cooldown(recipe.out, same).recipe
    assert (planned.crop, planned.averaging, planned.steps, planned.decay_start) == ((80,), ("none",), 5, 4)


class TestRefusals:
    def test_no_run(self, tmp_path):
        with pytest.raises(TrainingError, match=r"no run there: it has no recipe\.json"):
            plan_cooldown(tmp_path / "gone", same)

    def test_no_checkpoint_yet(self, run):
        for file in run.out.glob("checkpoint*.pt"):
            file.unlink()
        with pytest.raises(TrainingError, match="has no checkpoint yet"):
            plan_cooldown(run.out, same)

    def test_one_that_is_there(self, run):
        train(plan_cooldown(run.out, same).begin(), printed=False)
        with pytest.raises(TrainingError, match=r"run-cooldown: has a run in it: go on with --resume"):
            plan_cooldown(run.out, same)

    @pytest.mark.parametrize(
        ("text", "said"), [("{", "is damaged"), ("[]", "is damaged"), ('{"config": "fdikp-lite"}', "another version")]
    )
    def test_a_recipe_that_is_damaged_or_of_another_version(self, run, text, said):
        (run.out / "recipe.json").write_text(text)
        with pytest.raises(TrainingError, match=said) as told:
            plan_cooldown(run.out, same)
        assert "\n" not in str(told.value)
