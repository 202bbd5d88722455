"""A cool-down, branched off a run."""

import shutil

import pytest
import torch

from fdikp.errors import TrainingError
from fdikp.network import PRESETS
from fdikp.training import loop, summary
from fdikp.training.checkpoint import load_checkpoint
from fdikp.training.cooldown import plan_cooldown
from fdikp.training.loop import train
from fdikp.training.recipe import Recipe
from fdikp.training.recipe_file import read_recipe


@pytest.fixture(scope="module")
def finished_run(photos, tiny_config, tmp_path_factory):
    """A run at a constant rate that made twenty steps."""
    recipe = Recipe().override(
        config="tiny",
        paths=(photos,),
        output=tmp_path_factory.mktemp("finished") / "run",
        steps=20,
        crop=(64,),
        batch=(1,),
        lr=2e-3,
        warmup=0,
        log_every=1,
        schedule="constant",
        ema_decay=(0.9, 0.5),
        optimizer="muon",
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(PRESETS, "tiny", tiny_config)
        patch.setattr(summary, "_plot", lambda *_: None)
        train(recipe, printed=False)
    return recipe


@pytest.fixture
def run(recipe, finished_run):
    """A copy of that run, in a folder of the test's own."""
    shutil.copytree(finished_run.runtime.output, recipe.runtime.output)
    return finished_run.override(output=recipe.runtime.output)


def same(recipe):
    return recipe


def test_it_goes_on_where_the_run_is_and_ends_at_a_rate_of_zero(run, log_of):
    before = (run.runtime.output / "checkpoint.pt").read_bytes()
    recipe = plan_cooldown(run.runtime.output, same).begin()
    outcome = train(recipe, printed=False)
    assert recipe.runtime.output == run.runtime.output.parent / "run-cooldown"
    assert outcome.step == 22 and outcome.done == 1.0  # a tenth more
    lines = log_of(recipe)
    assert [line["step"] for line in lines] == [21, 22]
    assert [line["lr"] for line in lines] == pytest.approx([run.optim.lr, run.optim.lr / 2])
    assert lines[0]["crops"] == 21  # pairs that were not seen before
    state = load_checkpoint(recipe.runtime.output)
    assert list(state["averages"]) == ["0.9"]
    network, average = state["network"], state["averages"]["0.9"]
    assert all(torch.equal(value, average[f"module.{name}"]) for name, value in network.items())  # the last weights
    assert not torch.equal(network["output.weight"], load_checkpoint(run.runtime.output)["network"]["output.weight"])
    assert (run.runtime.output / "checkpoint.pt").read_bytes() == before


def test_its_first_step_is_the_run_s_next(run):
    """At the rate of the run and with its optimiser's state, on the pairs that come next."""
    one = plan_cooldown(
        run.runtime.output, lambda r: r.override(steps=1, output=run.runtime.output.parent / "one")
    ).begin()
    train(one, printed=False)
    train(run.override(steps=21, resume=True), printed=False)
    networks = [load_checkpoint(folder)["network"] for folder in (one.runtime.output, run.runtime.output)]
    assert all(torch.equal(value, networks[1][name]) for name, value in networks[0].items())


def test_options_change_it(run, log_of):
    recipe = plan_cooldown(
        run.runtime.output, lambda r: r.override(steps=3, crop=(80,), output=run.runtime.output.parent / "other")
    ).begin()
    train(recipe, printed=False)
    lines = log_of(recipe)
    assert [line["step"] for line in lines] == [21, 22, 23]
    assert lines[-1]["crops_128"] == pytest.approx((20 * 64**2 + 3 * 80**2) / 128**2, rel=1e-3)
    assert read_recipe(recipe.runtime.output).budget.crop == (80,)


def test_one_that_was_stopped_goes_on_exactly(run, monkeypatch):
    whole = plan_cooldown(
        run.runtime.output, lambda r: r.override(steps=4, output=run.runtime.output.parent / "whole")
    ).begin()
    train(whole, printed=False)
    parts = plan_cooldown(
        run.runtime.output, lambda r: r.override(steps=4, output=run.runtime.output.parent / "parts")
    ).begin()
    with monkeypatch.context() as patch:
        patch.setattr(loop, "progress", lambda recipe, step, *rest: 1.0 if step >= 22 else 0.0)
        train(parts, printed=False)
    assert load_checkpoint(parts.runtime.output)["step"] == 22
    again = plan_cooldown(run.runtime.output, lambda r: r.override(resume=True, output=parts.runtime.output)).begin()
    assert (again.budget.steps, again.optim.decay_start) == (24, 20)
    train(again, printed=False)
    one, other = (load_checkpoint(folder)["network"] for folder in (whole.runtime.output, parts.runtime.output))
    assert all(torch.equal(value, other[name]) for name, value in one.items())


def test_of_a_run_with_phases_it_takes_the_last(recipe, monkeypatch):
    monkeypatch.setattr(loop, "STATISTICS_BATCHES", 1)
    phases = {"phase_lengths": (1, 1), "crop": (64, 80), "averaging": ("none", "swa")}
    train(recipe.override(steps=4, **phases), printed=False)
    planned = plan_cooldown(recipe.runtime.output, same).recipe
    assert (planned.budget.crop, planned.budget.averaging, planned.budget.steps, planned.optim.decay_start) == (
        (80,),
        ("none",),
        5,
        4,
    )


class TestRefusals:
    def test_no_run(self, tmp_path):
        with pytest.raises(TrainingError, match=r"no recipe\.json; give the folder of a run"):
            plan_cooldown(tmp_path / "gone", same)

    def test_no_checkpoint_yet(self, run):
        for file in run.runtime.output.glob("checkpoint*.pt"):
            file.unlink()
        with pytest.raises(TrainingError, match="has no checkpoint yet"):
            plan_cooldown(run.runtime.output, same)

    def test_one_that_is_there(self, run):
        train(plan_cooldown(run.runtime.output, same).begin(), printed=False)
        with pytest.raises(TrainingError, match=r"run-cooldown: already has a run; continue it with resume=True"):
            plan_cooldown(run.runtime.output, same)

    @pytest.mark.parametrize(
        ("text", "message"),
        [("{", "is damaged"), ("[]", "is damaged"), ('{"config": "fdikp-lite"}', "another version")],
    )
    def test_a_recipe_that_is_damaged_or_of_another_version(self, run, text, message):
        (run.runtime.output / "recipe.json").write_text(text)
        with pytest.raises(TrainingError, match=message) as raised:
            plan_cooldown(run.runtime.output, same)
        assert "\n" not in str(raised.value)
