import json
import os
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from fdikp import weights
from fdikp.network import PRESETS
from fdikp.synthesis import RenderSettings
from fdikp.training import loop
from fdikp.training.checkpoint import load_checkpoint, save_checkpoint
from fdikp.training.loop import train
from fdikp.training.recipe import Recipe


@pytest.fixture(scope="module")
def photographs(tmp_path_factory) -> Path:
    from skimage import data

    folder = tmp_path_factory.mktemp("sharp")
    for name in ("astronaut", "coffee", "chelsea"):
        Image.fromarray(getattr(data, name)()[:220, :220]).save(folder / f"{name}.png")
    return folder


@pytest.fixture
def recipe(tmp_path, photographs, tiny_config, monkeypatch) -> Recipe:
    monkeypatch.setitem(PRESETS, "tiny", tiny_config)
    return Recipe(
        config="tiny",
        data=(photographs,),
        out=tmp_path / "run",
        steps=6,
        batch=2,
        crop=64,
        lr=2e-3,
        warmup=2,
        log_every=1,
    )


def log_of(recipe: Recipe) -> list[dict]:
    return [json.loads(line) for line in (recipe.out / "log.jsonl").read_text().splitlines()]


def test_a_stopped_run_goes_on_exactly(recipe, monkeypatch):
    whole = train(replace(recipe, out=recipe.out / "whole"))
    step = loop._step

    def stopped_after_three(run, *more):
        facts = step(run, *more)
        if run.step == 3:
            os.kill(os.getpid(), signal.SIGTERM)
        return facts

    monkeypatch.setattr(loop, "_step", stopped_after_three)
    parts = replace(recipe, out=recipe.out / "parts")
    train(parts)
    assert load_checkpoint(parts.out / "checkpoint.pt")["step"] == 3
    monkeypatch.setattr(loop, "_step", step)
    train(replace(parts, resume=True))
    one, other = (load_checkpoint(recipe.out / name / "checkpoint.pt") for name in ("whole", "parts"))
    assert one["step"] == other["step"] == 6
    for part in ("network", "average"):
        for name, value in one[part].items():
            assert torch.equal(value, other[part][name]), name
    assert one["optimizer"]["state"][0]["exp_avg_sq"].equal(other["optimizer"]["state"][0]["exp_avg_sq"])
    assert weights.sha256(whole) != ""
    assert [line["step"] for line in log_of(parts)] == [1, 2, 3, 4, 5, 6]


def test_the_written_weights_are_the_average_and_load(recipe):
    file = train(recipe)
    network, about = weights.load(file)
    average = load_checkpoint(recipe.out / "checkpoint.pt")["average"]
    for name, value in network.state_dict().items():
        assert torch.equal(value, average[f"module.{name}"]), name
    assert about.name == "tiny"
    assert float(network.output.weight.abs().max()) > 0  # it learned something
    half = train(replace(recipe, out=recipe.out / "half", half=True))
    assert half.stat().st_size < 0.7 * file.stat().st_size
    weights.load(half)


def test_training_from_the_identity_learns_to_undo_one_blur(recipe, monkeypatch):
    one_blur = RenderSettings(
        share_sharp=0, share_uniform=1, min_radius=1.4, max_radius=1.5, share_noisy=0, share_jpeg=0, share_sharpened=0
    )
    monkeypatch.setattr(loop, "RenderSettings", lambda max_radius: one_blur)
    train(replace(recipe, steps=16, batch=4, lr=4e-3, delta=0.5, precision="fp32"))
    log = log_of(recipe)
    assert log[0]["psnr_out"] == pytest.approx(log[0]["psnr_in"], abs=1e-3)
    gains = [line["psnr_out"] - line["psnr_in"] for line in log[-5:]]
    assert min(gains) > 0.02  # on pictures not seen before, each step another batch


def test_a_step_that_is_not_finite_changes_nothing_and_is_counted(recipe, monkeypatch):
    loss, calls = loop.restoration_loss, []

    def sometimes_nan(*arguments):
        calls.append(1)
        return loss(*arguments) * (float("nan") if len(calls) == 3 else 1.0)

    monkeypatch.setattr(loop, "restoration_loss", sometimes_nan)
    train(recipe)
    assert [line["skipped"] for line in log_of(recipe)] == [0, 0, 1, 1, 1, 1]
    state = load_checkpoint(recipe.out / "checkpoint.pt")
    assert all(value.isfinite().all() for value in state["network"].values())
    assert float(state["optimizer"]["state"][0]["step"]) == 5


def test_the_average_follows_its_rule(recipe):
    train(replace(recipe, steps=2, warmup=1, floor=1.0, out=recipe.out / "two"))
    train(replace(recipe, steps=1, warmup=1, floor=1.0, out=recipe.out / "first"))
    first, second = (load_checkpoint(recipe.out / n / "checkpoint.pt") for n in ("first", "two"))
    name = "output.weight"
    start = first["average"][f"module.{name}"]  # the first update copies
    assert torch.equal(start, first["network"][name])
    expected = start.lerp(second["network"][name], 1 - (1 + 1) / (10 + 1))
    assert torch.allclose(second["average"][f"module.{name}"], expected, atol=1e-7)


def test_steps_are_as_long_as_the_schedule_says(recipe):
    def moved(warmup: int) -> torch.Tensor:
        out = recipe.out / f"warmup-{warmup}"
        train(replace(recipe, steps=1, warmup=warmup, out=out))
        network = load_checkpoint(out / "checkpoint.pt")["network"]
        assert (
            not network["output.bias"].any() and not network["fikp.refine.bias"].any()
        )  # they would shift the picture
        return network["dsrm.apu.gates.bias"][-12:].abs()  # what is written into the memory: zero before the first step

    whole = moved(1)
    assert whole.count_nonzero() >= 11  # untrained, the image itself changes nothing, and its weight not either
    assert torch.allclose(moved(4), whole / 4, rtol=1e-2)  # Adam's first step is as long as the rate


def test_a_run_is_not_overwritten(recipe):
    train(replace(recipe, steps=1))
    with pytest.raises(FileExistsError, match="--resume"):
        train(recipe)


def test_real_pairs_are_validated(recipe, tmp_path, photographs):
    for folder in ("source", "target"):
        (tmp_path / folder).mkdir()
    for n, file in enumerate(sorted(photographs.iterdir())[:2]):
        picture = Image.open(file)
        picture.save(tmp_path / "target" / f"{n}.png")
        Image.fromarray(np.array(picture.reduce(2).resize(picture.size))).save(tmp_path / "source" / f"{n}.png")
    train(replace(recipe, steps=2, validate=tmp_path, validate_crop=100))
    found = log_of(recipe)[-1]["validation"]
    assert found["pictures"] == 2
    assert 15 < found["psnr_before"] < 40
    assert found["gain"] == pytest.approx(found["psnr_after"] - found["psnr_before"], abs=1e-2)


def test_training_starts_from_given_weights(recipe):
    file = train(recipe)
    again = train(replace(recipe, start=file, steps=1, lr=0.0, out=recipe.out / "again"))
    assert torch.equal(weights.load(file)[0].output.weight, weights.load(again)[0].output.weight)


def test_an_interrupted_write_leaves_the_checkpoint_before(tmp_path, monkeypatch):
    file = tmp_path / "checkpoint.pt"
    save_checkpoint(file, {"step": 1})
    save = torch.save

    def interrupted(state, part):
        save(state, part)
        raise KeyboardInterrupt

    monkeypatch.setattr(torch, "save", interrupted)
    with pytest.raises(KeyboardInterrupt):
        save_checkpoint(file, {"step": 2})
    assert load_checkpoint(file) == {"step": 1}
