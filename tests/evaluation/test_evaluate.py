"""Models on data sets: what is scored is what the network made, under the protocol that is named."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import fdikp
from fdikp import load_model
from fdikp.data import open_set
from fdikp.errors import DataError
from fdikp.evaluation.evaluate import Evaluator, evaluate
from fdikp.evaluation.protocols import PROTOCOLS
from fdikp.metrics.psnr import psnr
from fdikp.metrics.ssim import ssim


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three pairs of pictures whose sides are no multiples of anything."""
    from skimage import data

    folder = tmp_path_factory.mktemp("pairs")
    for kind in ("source", "target"):
        (folder / kind).mkdir()
    for n, name in enumerate(("astronaut", "coffee", "chelsea")):
        picture = Image.fromarray(getattr(data, name)()[50:113, 100:179])
        picture.save(folder / "target" / f"{n}.png")
        picture.reduce(2).resize(picture.size).save(folder / "source" / f"{n}.png")
    return folder


def test_scores_are_those_of_the_networks_own_output(pairs: Path, tiny_weights: Path) -> None:
    found = evaluate(tiny_weights, pairs)
    network, _ = fdikp.models.load(tiny_weights)
    assert [r.image for r in found.images] == ["0", "1", "2"]
    for result in found.images:
        source, target = (
            torch.from_numpy(
                np.array(Image.open(pairs / kind / f"{result.image}.png")).astype(np.float32) / 255
            ).permute(2, 0, 1)[None]
            for kind in ("source", "target")
        )
        with torch.inference_mode():
            output = network(source).clamp(0, 1)
        assert result.after["psnr"] == pytest.approx(float(psnr(output, target)), abs=0.01)
        assert result.after["ssim"] == pytest.approx(float(ssim(output, target)), abs=1e-3)
        assert result.before["psnr"] == pytest.approx(float(psnr(source, target)), abs=1e-6)
        assert result.after["shift"] == pytest.approx(
            float((output - source).mean(dim=(0, 2, 3)).abs().mean()), abs=1e-4
        )
        assert (result.width, result.height) == (79, 63)
        assert result.seconds is not None and result.seconds > 0


def test_without_strength_nothing_changes(pairs: Path, tiny_weights: Path) -> None:
    for result in evaluate(tiny_weights, pairs, strength=0.0).images:
        assert {name: result.after[name] for name in result.before} == pytest.approx(result.before)
        assert result.after["shift"] == 0


def test_the_protocol_decides_what_is_scored(pairs: Path, tiny_weights: Path) -> None:
    sizes = {
        name: {(r.width, r.height) for r in evaluate(tiny_weights, pairs, name).images} for name in ("ifan", "nrknet")
    }
    assert sizes == {"ifan": {(72, 56)}, "nrknet": {(80, 64)}}


def test_without_ground_truth_there_are_scores_that_need_none(pairs: Path, tiny_weights: Path) -> None:
    data = open_set("cuhk", pairs / "source")
    (first, *_) = evaluate(tiny_weights, data).images
    assert set(first.before) == {"blur"} and set(first.after) == {"blur", "shift"}
    assert 0 <= first.after["blur"] <= 1


def test_what_is_known_is_not_measured_again(pairs: Path, tiny_weights: Path) -> None:
    model = load_model(tiny_weights, "cpu", "float32")
    data = open_set("mine", pairs)
    names = [r.result.image for r in Evaluator(PROTOCOLS["defocus"]).results(model, data, skip={"1"})]
    assert names == ["0", "2"]
    assert [r.result.image for r in Evaluator(PROTOCOLS["defocus"]).results(model, data, limit=1)] == ["0"]


def test_the_error_where_it_was_in_focus_is_of_those_pixels(tiny_weights: Path) -> None:
    generator = torch.Generator().manual_seed(0)
    target = torch.rand(1, 3, 64, 64, generator=generator)
    source = target.clone()
    source[..., 32:] = 0.5
    output = target.clone()
    output[..., :32] += 0.05 * (1 - 2 * (target[..., :32] > 0.5).float())
    before, after = Evaluator(PROTOCOLS["defocus"])._scores(source, output, target, "pairs")
    assert before["focus"] == 0
    assert after["focus"] == pytest.approx(0.05**2, rel=1e-3)


def test_overshoot_is_scored_where_targets_are_aligned_to_the_pixel() -> None:
    target = torch.zeros(1, 3, 64, 64)
    target[..., 32:] = 0.5
    output = target * 1.2
    evaluator = Evaluator(PROTOCOLS["defocus"])
    before, after = evaluator._scores(target, output, target, "pairs")
    assert (before["overshoot"], after["overshoot"]) == (0, pytest.approx(12.25, rel=1e-3))
    assert "overshoot" not in evaluator._scores(target, output, target, "dpdd")[1]


def test_a_picture_too_small_to_be_scored_is_named(tmp_path: Path, tiny_weights: Path) -> None:
    for kind in ("source", "target"):
        (tmp_path / kind).mkdir()
        Image.new("RGB", (40, 20)).save(tmp_path / kind / "small.png")
    with pytest.raises(DataError, match=r"small.*40x20"):
        evaluate(tiny_weights, tmp_path)


def test_predict_is_the_call_before_it_is_clamped_and_rounded(tiny_weights: Path) -> None:
    model = load_model(tiny_weights, "cpu", "float32", tile=64)
    x = torch.rand(3, 100, 90, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(model.predict(x).clamp(0, 1), model(x), atol=1e-6, rtol=0)
    torch.testing.assert_close(model.predict(x, strength=0.5), (x + model.predict(x)) / 2, atol=1e-6, rtol=0)


def test_protocols_are_data_that_a_run_can_change(pairs: Path, tiny_weights: Path) -> None:
    protocol = replace(PROTOCOLS["defocus"], name="mine", crop_border=5)
    model = load_model(tiny_weights, "cpu", "float32")
    (first, *_) = Evaluator(protocol).results(model, open_set("mine", pairs))
    assert (first.result.width, first.result.height) == (69, 53)


def test_eight_positions_are_said_where_they_were_taken(tiny_weights: Path) -> None:
    evaluator = Evaluator(PROTOCOLS["defocus"])
    plain, eight = (load_model(tiny_weights, "cpu", "float32", ensemble=way) for way in (False, True))
    assert "ensemble" not in evaluator.about([plain])
    assert evaluator.about([eight])["ensemble"] == "mean of eight flips and rotations"
