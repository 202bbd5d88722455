"""Several sets and several averages, validated at once."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from skimage import data

from fdikp import models
from fdikp.errors import DataError
from fdikp.metrics.before_after import score
from fdikp.training import summary
from fdikp.training.checkpoint import load_checkpoint
from fdikp.training.data import Batch
from fdikp.training.loop import _batch_psnr, train
from fdikp.training.numerics import Numerics
from fdikp.training.option_groups import RuntimeGroup
from fdikp.training.validate import load_set, validate


@pytest.fixture
def kodak(tmp_path) -> Path:
    folder = tmp_path / "kodak"
    folder.mkdir()
    for n, name in ((3, "astronaut"), (4, "coffee")):
        Image.fromarray(getattr(data, name)()[:160, :200]).save(folder / f"kodim{n:02}.png")
    return folder


def test_each_average_on_each_set(recipe, own_pairs, kodak, log_of):
    decays = (0.1, 0.9)
    train(
        recipe.override(
            steps=3, validate=(f"mine={own_pairs}", str(kodak)), validate_crop=96, ema_decay=decays, precision="float32"
        )
    )
    (line,) = log_of(recipe, "validation")
    assert {name: set(scores) for name, scores in line["validations"].items()} == {
        "mine": {"0.1", "0.9"},
        "kodak": {"0.1", "0.9"},
    }
    assert line["validation"] == line["validations"]["mine"]["0.1"]
    assert line["validations"]["mine"]["0.1"] != line["validations"]["mine"]["0.9"]
    assert "loss" not in line["validation"]
    state = load_checkpoint(recipe.runtime.output)
    for name, file in (("0.1", "weights.safetensors"), ("0.9", "weights-ema-0.9.safetensors")):
        network, about = models.load(recipe.runtime.output / file)
        assert about.name == "tiny"
        average = state["averages"][name]
        assert all(torch.equal(v, average[f"module.{key}"]) for key, v in network.state_dict().items())
        means, _ = validate(
            network, load_set("mine", own_pairs, 96), Numerics.of(RuntimeGroup(precision="float32"), CPU)
        )
        assert means["psnr_after"] == pytest.approx(line["validations"]["mine"][name]["psnr_after"], abs=1e-2)


CPU = torch.device("cpu")


def test_kodak_photos_are_rendered_with_their_numbers_as_seeds(kodak):
    from fdikp.synthesis.kodak import kodak_pair

    validation_set = load_set("kodak", kodak, 128)
    assert [crop.name for crop in validation_set.crops] == ["kodim03", "kodim04"]
    whole = kodak_pair(kodak / "kodim03.png")
    assert torch.equal(validation_set.crops[0].source, whole.blurred[:, 16:144, 36:164])
    assert torch.equal(validation_set.crops[0].target, whole.target[:, 16:144, 36:164])


def test_scores_are_those_of_the_centre_of_each_pair(own_pairs, tiny_weights):
    network, _ = models.load(tiny_weights)
    validation_set = load_set("mine", own_pairs, 100)
    assert all(crop.source.shape == (3, 96, 96) for crop in validation_set.crops)
    means, strip = validate(network, validation_set, Numerics.of(RuntimeGroup(precision="float32"), CPU))
    image = torch.from_numpy(np.array(Image.open(own_pairs / "source" / "0.png"))).permute(2, 0, 1) / 255
    assert torch.equal(validation_set.crops[0].source, image[:, 62:158, 62:158])
    with torch.no_grad():
        scores = [score(c.name, c.source, network(c.source[None])[0], c.target) for c in validation_set.crops]
    assert means["psnr_after"] == pytest.approx(sum(s.psnr_after for s in scores) / 3, abs=1e-3)
    assert means["overshoot_after"] == pytest.approx(sum(s.overshoot_after for s in scores) / 3, abs=1e-3)
    assert strip.shape == (3, 3 * 96, 3 * 96)


def test_identical_pairs_are_in_no_mean(own_pairs, tmp_path, tiny_weights):
    """Pairs 0 and 2 have the same scores with and without pair 1, whose source is its target."""
    network, _ = models.load(tiny_weights)
    rows = [f"{own_pairs}/{'target' if n == 1 else 'source'}/{n}.png,{own_pairs}/target/{n}.png" for n in range(3)]
    sets = []
    for name, chosen in (("all", rows), ("some", rows[::2]), ("none", rows[1:2])):
        (tmp_path / f"{name}.csv").write_text("\n".join(["source,target", *chosen]))
        sets.append(replace(load_set(name, tmp_path / f"{name}.csv", 64), has_loss=True))
    numerics = Numerics.of(RuntimeGroup(precision="float32"), CPU)

    def loss(images, target):
        return (images[-1] - target).abs().mean()

    whole, rest, none = (validate(network, data, numerics, loss=loss)[0] for data in sets)
    assert whole == rest | {"identical": ("1",)}
    assert none == {"images": 0, "identical": ("1",)}
    assert rest["images"] == 2 and rest["loss"] > 0
    assert sets[0].identical_note == ("all: source equals target in 1 of 3 crops, which are left out of all means: 1")
    assert sets[1].identical_note == ""


def test_a_run_whose_validation_has_no_mean_ends_well(recipe, own_pairs, tmp_path, log_of, plot, monkeypatch):
    monkeypatch.setattr(summary, "_plot", plot)
    (tmp_path / "same.csv").write_text(f"source,target\n{own_pairs}/target/0.png,{own_pairs}/target/0.png\n")
    outcome = train(recipe.override(steps=1, validate=(f"same={tmp_path / 'same.csv'}",), validate_crop=64))
    (line,) = log_of(recipe, "validation")
    assert line["validation"] == {"images": 0, "identical": ["0"]}
    assert "PSNR – -> – dB on 1 pairs of" in outcome.summary and "(1 identical left out: 0)" in outcome.summary


def test_batches_leave_out_crops_that_equal_their_target():
    target = torch.rand(3, 3, 8, 8) * 0.5 + 0.2
    blurred = target + torch.tensor([0.1, 0.0, 0.01])[:, None, None, None]
    found = _batch_psnr(Batch(blurred, target, None), target + 0.1)
    assert found == {"identical": 1, "psnr_in": pytest.approx(30, abs=1e-3), "psnr_out": pytest.approx(20, abs=1e-3)}
    assert _batch_psnr(Batch(target, target, None), target) == {"identical": 3}


def test_a_manifest_is_a_set(own_pairs, tmp_path):
    rows = "\n".join(f"{own_pairs}/source/{n}.png,{own_pairs}/target/{n}.png" for n in (0, 2))
    (tmp_path / "pairs.csv").write_text(f"source,target\n{rows}\n")
    assert len(load_set("some", tmp_path / "pairs.csv", 64).crops) == 2


def test_two_sets_of_the_same_name_are_refused(recipe, own_pairs):
    with pytest.raises(DataError, match="two sets have the same name; give NAME=PATH"):
        train(recipe.override(validate=(str(own_pairs), f"{own_pairs}/")))
