import json
import os
import signal
from dataclasses import replace

import pytest
import torch

from fdikp import models
from fdikp.errors import DataError, FdikpError, TrainingError, WeightsError
from fdikp.network import FDIKP, PRESETS
from fdikp.training import inputs, loop, session
from fdikp.training import summary as summary_module
from fdikp.training.checkpoint import load_checkpoint
from fdikp.training.loop import train
from fdikp.training.objective import Objective


def test_a_stopped_run_goes_on_exactly(recipe, monkeypatch, log_of):
    whole = train(recipe.override(output=recipe.runtime.output / "whole"))
    step = loop._step

    def stopped_after_three(run, *more):
        result = step(run, *more)
        if run.step == 3:
            os.kill(os.getpid(), signal.SIGTERM)
        return result

    monkeypatch.setattr(loop, "_step", stopped_after_three)
    parts = recipe.override(output=recipe.runtime.output / "parts")
    outcome = train(parts)
    assert (outcome.step, outcome.done, outcome.signal) == (3, 0.5, signal.SIGTERM)
    assert load_checkpoint(parts.runtime.output)["step"] == 3
    monkeypatch.setattr(loop, "_step", step)
    outcome = train(parts.override(resume=True))
    assert (outcome.step, outcome.done, outcome.signal) == (6, 1.0, None)
    one, other = (load_checkpoint(recipe.runtime.output / name) for name in ("whole", "parts"))
    for part in (lambda state: state["network"], lambda state: state["averages"]["0.999"]):
        for name, value in part(one).items():
            assert torch.equal(torch.as_tensor(value), torch.as_tensor(part(other)[name])), name
    moments = [state["optimizer"]["Adam"]["state"][0]["exp_avg_sq"] for state in (one, other)]
    assert moments[0].equal(moments[1])
    assert (one["step"], one["seen"]) == (other["step"], other["seen"]) == (6, 12)
    assert whole.weights.is_file()
    assert [line["step"] for line in log_of(parts)] == [1, 2, 3, 4, 5, 6]


def test_the_written_weights_are_the_average_and_load(recipe):
    file = train(recipe).weights
    network, about = models.load(file)
    average = load_checkpoint(recipe.runtime.output)["averages"]["0.999"]
    for name, value in network.state_dict().items():
        assert torch.equal(value, average[f"module.{name}"]), name
    assert about.name == "tiny"
    assert float(network.output.weight.abs().max()) > 0  # it learned something
    half = train(recipe.override(output=recipe.runtime.output / "half", half=True, steps=1)).weights
    assert half.stat().st_size < 0.7 * file.stat().st_size
    models.load(half)


def test_training_from_the_identity_learns_to_undo_one_blur(recipe, log_of):
    blur = "p_sharp=0 p_uniform=1 min_radius=1.4 max_radius=1.5 p_noise=0 p_jpeg=0 p_sharpened=0"
    train(
        recipe.override(
            steps=14, batch=(4,), lr=4e-3, guard_weight=0.5, precision="float32", render=tuple(blur.split())
        )
    )
    log = log_of(recipe)
    assert log[0]["psnr_out"] == pytest.approx(log[0]["psnr_in"], abs=1e-3)
    gains = [line["psnr_out"] - line["psnr_in"] for line in log[-5:]]
    assert min(gains) > 0.02  # on new images: each step has another batch


class TestNotFinite:
    @pytest.fixture
    def broken(self, monkeypatch):
        """Make the network's pass of the given steps not finite, its BatchNorm statistics too."""

        def broken(*numbers: int) -> None:
            stages, calls = FDIKP.stages, []

            def sometimes_nan(network, x):
                if network.training:
                    calls.append(1)
                return stages(network, x * (float("nan") if network.training and len(calls) in numbers else 1.0))

            monkeypatch.setattr(FDIKP, "stages", sometimes_nan)

        return broken

    def test_a_step_changes_nothing_and_is_counted(self, recipe, broken, log_of):
        broken(3)
        train(recipe)
        assert [line["skipped"] for line in log_of(recipe)] == [0, 0, 1, 1, 1, 1]
        state = load_checkpoint(recipe.runtime.output)
        assert all(value.isfinite().all() for value in state["network"].values())
        assert float(state["optimizer"]["Adam"]["state"][0]["step"]) == 5

    def test_a_run_of_them_ends_training_and_keeps_what_was_learned(self, recipe, broken):
        broken(3, 4, 5)
        with pytest.raises(TrainingError, match=r"not finite for 3 steps in a row, up to step 5.*lr="):
            train(recipe.override(patience=3))
        state = load_checkpoint(recipe.runtime.output)
        assert state["step"] == 5
        assert all(value.isfinite().all() for value in state["network"].values())


def test_the_average_follows_its_rule(recipe):
    train(recipe.override(steps=2, warmup=1, final_lr_scale=1.0, output=recipe.runtime.output / "two"))
    train(recipe.override(steps=1, warmup=1, final_lr_scale=1.0, output=recipe.runtime.output / "first"))
    first, second = (load_checkpoint(recipe.runtime.output / n) for n in ("first", "two"))
    name = "output.weight"
    start = first["averages"]["0.999"][f"module.{name}"]  # the first update copies
    assert torch.equal(start, first["network"][name])
    expected = start.lerp(second["network"][name], 1 - (1 + 1) / (10 + 1))
    assert torch.allclose(second["averages"]["0.999"][f"module.{name}"], expected, atol=1e-7)


def test_phases_share_the_budget_and_the_last_is_averaged(recipe, monkeypatch, log_of):
    """Four steps of 64 pixels, two of 80 whose weights' mean is what ships, with statistics of its own."""
    sizes, after = [], []
    step = loop._step
    monkeypatch.setattr(loop, "STATISTICS_BATCHES", 2)

    def watched(run, recipe, fabric, module, batch, lr):
        result = step(run, recipe, fabric, module, batch, lr)
        sizes.append(tuple(batch.blurred.shape))
        after.append(run.network.output.weight.detach().clone())
        return result

    monkeypatch.setattr(loop, "_step", watched)
    phases = {"phase_lengths": (2, 1), "crop": (64, 80), "batch": (2, 1), "averaging": ("none", "swa")}
    train(recipe.override(**phases, schedule="steps", milestones=(0.5,), warmup=0))
    assert sizes == [(2, 3, 64, 64)] * 4 + [(1, 3, 80, 80)] * 2
    state = load_checkpoint(recipe.runtime.output)
    assert torch.allclose(state["averages"]["0.999"]["module.output.weight"], (after[4] + after[5]) / 2, atol=1e-7)
    norm = "dsrm.apu.norm.running_mean"
    assert not torch.equal(state["averages"]["0.999"][f"module.{norm}"], state["network"][norm])
    assert state["seen"] == 4 * 2 + 2
    assert [line["lr"] for line in log_of(recipe)] == [2e-3] * 3 + [1e-3] * 3
    assert log_of(recipe)[-1]["epoch"] == pytest.approx(10 / 3, abs=1e-3)


def test_epochs_are_a_budget(recipe):
    outcome = train(recipe.override(steps=0, epochs=2))
    assert outcome.step == 3  # two pairs per step: two epochs of three images


def test_steps_are_as_long_as_the_schedule_says(recipe):
    def moved(warmup: int) -> torch.Tensor:
        out = recipe.runtime.output / f"warmup-{warmup}"
        train(recipe.override(steps=1, warmup=warmup, output=out))
        network = load_checkpoint(out)["network"]
        assert not network["output.bias"].any() and not network["fikp.refine.bias"].any()  # they would shift the image
        return network["dsrm.apu.gates.bias"][-12:].abs()  # what is written into the memory: zero before the first step

    whole = moved(1)
    assert whole.count_nonzero() >= 11  # untrained, the image itself changes nothing, and its weight not either
    assert torch.allclose(moved(4), whole / 4, rtol=1e-2)  # Adam's first step is as long as the rate


def test_a_rate_for_all_trains_every_number(recipe):
    train(recipe.override(steps=1, output_lr_scale=1.0))
    assert load_checkpoint(recipe.runtime.output)["network"]["output.bias"].any()


def test_workers_change_nothing(recipe):
    train(recipe.override(output=recipe.runtime.output / "alone", steps=3))
    train(recipe.override(output=recipe.runtime.output / "helped", steps=3, workers=2))
    one, other = (load_checkpoint(recipe.runtime.output / name)["network"] for name in ("alone", "helped"))
    assert all(torch.equal(value, other[name]) for name, value in one.items())


def test_training_leaves_the_process_as_it_was(recipe, monkeypatch):
    threads = torch.get_num_threads()
    during = []

    def fail(recipe):
        during.extend([torch.get_num_threads(), float(torch.tensor(1e-40) * 1.0)])
        raise DataError("stop here")

    monkeypatch.setattr(loop, "read_inputs", fail)
    with pytest.raises(DataError):
        train(recipe.override(threads=threads + 1))
    assert during == [threads + 1, 0.0]
    assert torch.get_num_threads() == threads
    assert float(torch.tensor(1e-40) * 1.0) > 0, "denormal numbers count again"


def test_a_run_is_not_overwritten(recipe):
    train(recipe.override(steps=1))
    with pytest.raises(TrainingError, match="resume=True"):
        train(recipe)


def test_resuming_where_nothing_is_begins(recipe):
    assert train(recipe.override(steps=1, resume=True)).step == 1


def test_a_checkpoint_of_another_network_is_refused(recipe, monkeypatch, tiny_config):
    train(recipe.override(steps=1))
    monkeypatch.setitem(PRESETS, "tiny", replace(tiny_config, kernels=3))
    with pytest.raises(TrainingError, match="another network"):
        train(recipe.override(resume=True))


def test_real_pairs_train_and_validate(recipe, own_pairs, log_of):
    train(recipe.override(paths=(own_pairs,), steps=2, blur=0.1, validate=(str(own_pairs),), validate_crop=100))
    assert set(log_of(recipe)[-1]["terms"]) == {"mse", "frequency"}
    scores = log_of(recipe, "validation")[-1]["validation"]
    assert scores["images"] == 3
    assert 15 < scores["psnr_before"] < 40
    assert scores["gain"] == pytest.approx(scores["psnr_after"] - scores["psnr_before"], abs=1e-2)


def test_training_starts_from_given_weights(recipe, tiny_weights):
    again = train(recipe.override(config="fdikp-lite", start=str(tiny_weights), steps=1, lr=1e-12)).weights
    start, end = models.load(tiny_weights), models.load(again)
    assert torch.allclose(start[0].output.weight, end[0].output.weight, atol=1e-9)
    assert end[1].name == "tiny"


def test_a_teacher_is_imitated(recipe, tiny_weights, log_of):
    far = recipe.override(teacher=str(tiny_weights), alpha=0.0, beta=0.0, gamma=0.0, distill=1.0, steps=9, lr=4e-3)
    train(far)
    terms = [line["terms"]["distill"] for line in log_of(recipe)]
    assert set(log_of(recipe)[0]["terms"]) == {"distill"}
    assert sum(terms[-3:]) < 0.9 * sum(terms[:3])
    same = recipe.override(
        start=str(tiny_weights), teacher=str(tiny_weights), output=recipe.runtime.output / "same", steps=1
    )
    train(same)
    assert log_of(same)[0]["terms"]["distill"] < 0.02  # only BatchNorm's statistics differ


def test_a_run_writes_its_summary(recipe, log_of, plot, monkeypatch):
    monkeypatch.setattr(summary_module, "_plot", plot)
    outcome = train(recipe.override(steps=3, guard_weight=0.5, blur=0.1))
    summary = json.loads((recipe.runtime.output / "summary.json").read_text())
    assert summary["weights_sha256"] == models.describe(outcome.weights).sha256
    assert (summary["steps"], summary["pairs_seen"], summary["budget_used"]) == (3, 6, 1.0)
    assert set(summary["terms"]["last"]) == {"mse", "frequency", "guard", "blur", "hint"}
    assert summary["recipe"]["loss"]["guard_weight"] == 0.5
    assert "curve.png" in (recipe.runtime.output / "summary.md").read_text()
    assert (recipe.runtime.output / "curve.png").stat().st_size > 10_000
    assert str(outcome.weights) in outcome.summary and "4 crops of the training data" in outcome.summary
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    board = EventAccumulator(str(recipe.runtime.output / "tensorboard"))
    board.Reload()
    assert {"loss", "lr", "images_per_second", "terms/blur", "validation/psnr_after"} <= set(board.Tags()["scalars"])
    assert board.Tags()["images"] == ["blurred, restored, target"]
    logged = [event.value for event in board.Scalars("terms/mse")]
    assert logged == pytest.approx([line["terms"]["mse"] for line in log_of(recipe)], rel=1e-3)


def test_each_term_of_the_log_adds_up_to_the_loss(recipe, log_of, tmp_path, monkeypatch):
    class Brightness(torch.nn.Module):
        def forward(self, x, y):
            return (x - y).mean(dim=(1, 2, 3)).abs()

    monkeypatch.setattr(inputs, "find_lpips", lambda choice: tmp_path / "lpips")
    monkeypatch.setattr(session, "LPIPS", lambda file: Brightness())
    recipe = recipe.override(steps=2, alpha=0.5, beta=0.4, gamma=0.3, guard_weight=0.2, blur=0.1, radius_hint=0.05)
    train(recipe)
    for line in log_of(recipe):
        terms = line["terms"]
        total = 0.5 * terms["mse"] + 0.4 * terms["lpips"] + 0.3 * terms["frequency"]
        total += 0.2 * terms["guard"] + 0.1 * terms["blur"] + 0.05 * terms["hint"]
        assert line["loss"] == pytest.approx(total, rel=1e-3)


def test_a_compiled_run_is_the_same_run(recipe, monkeypatch, log_of):
    """With a compiler that does nothing: that only encoder and decoder are compiled, and once, is tested."""
    compiled = []
    monkeypatch.setattr(torch, "compile", lambda function: compiled.append(function) or function)
    train(recipe.override(steps=1, compile=True))
    assert [type(f.__self__).__name__ for f in compiled] == ["Encoder", "Decoder"]


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"paths": ("gone",)}, DataError, "gone: no such folder"),
        ({"paths": ("gone",), "pairs": "real"}, DataError, "gone: no such folder"),
        ({"pairs": "real"}, DataError, "no pairs in a known layout"),
        ({"start": "gone.safetensors"}, WeightsError, "gone.safetensors"),
        ({"teacher": "gone.safetensors"}, WeightsError, "gone.safetensors"),
        ({"lpips": "gone.safetensors"}, WeightsError, "gone.safetensors: no such file of LPIPS"),
        ({"validate": ("gone",)}, DataError, "gone: no pairs to validate on"),
        ({"device": "abacus"}, FdikpError, "abacus"),
    ],
)
def test_what_is_missing_is_reported_before_the_first_step(recipe, change, error, message, monkeypatch):
    from pathlib import Path

    convert = {"paths": lambda value: tuple(map(Path, value)), "validate": lambda value: value}
    change = {name: convert.get(name, str)(value) for name, value in change.items()}
    monkeypatch.setattr(loop, "_step", None)
    with pytest.raises(error, match=message) as raised:
        train(recipe.override(**change))
    assert "\n" not in str(raised.value)


def test_a_full_disk_is_refused_before_the_first_step(recipe, monkeypatch):
    class Usage:
        free = 1000

    monkeypatch.setattr(session.shutil, "disk_usage", lambda folder: Usage)
    with pytest.raises(TrainingError, match=r"0 MiB free and the run needs \d+"):
        train(recipe)


def test_the_hint_ends_with_the_first_tenth(recipe, monkeypatch):
    hinted = []
    forward = Objective.forward

    def watched(self, *args):
        hinted.append(self.hinting)
        return forward(self, *args)

    monkeypatch.setattr(Objective, "forward", watched)
    train(recipe.override(steps=11, batch=(1,), radius_hint=0.1))
    assert hinted == [True, True] + 9 * [False]


def test_the_objective_gets_the_step_from_the_loop(recipe, monkeypatch):
    steps = []
    forward = Objective.forward
    monkeypatch.setattr(Objective, "forward", lambda self, *batch: steps.append(self.step) or forward(self, *batch))
    train(recipe.override(steps=3))
    assert steps == [0, 1, 2]
