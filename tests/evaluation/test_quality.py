import csv
import json
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from fdikp import weights
from fdikp.evaluation.quality import score, summarise
from fdikp.network import FDIKP, NetworkConfig

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "quality.py"


def test_damage_where_the_picture_was_in_focus_is_seen():
    target = torch.full((3, 20, 20), 0.5)
    blurred = target.clone()
    blurred[:, :10] += 0.2  # the upper half is out of focus, the lower off by 0.002
    blurred[:, 10:] += 0.002
    output = target.clone()
    output[:, 10:] += 0.004  # repaired above, worse below
    result = score("one", blurred, output, target)
    assert result.gain > 20
    assert result.focus_pixels == 200
    summary = summarise([result])
    assert summary.focus_ratio == pytest.approx(4.0, rel=1e-3)
    assert summary.focus_error == pytest.approx(0.004**2, rel=1e-3)
    assert result.shift == pytest.approx(0.1 - 0.001, abs=1e-5)
    assert result.lpips_after is None


def test_a_pixel_is_in_focus_in_all_channels_or_not():
    target = torch.full((3, 8, 8), 0.5)
    blurred = target.clone()
    blurred[1, :4] = 0.6
    assert score("one", blurred, blurred, target).focus_pixels == 32


def test_what_is_blurred_in_the_target_too_is_no_damage_to_focus():
    torch.manual_seed(0)
    target = torch.full((3, 64, 64), 0.5)
    target[:, :, :24] += 0.3 * torch.randn(1, 64, 24)  # detail in focus on the left, none on the right
    output = target.clone()
    output[:, :, 44:] += 0.1
    summary = summarise([score("one", target + 0.001, output, target)])
    assert summary.focus_ratio == pytest.approx(0.1**2 * (20 / 64) / 0.001**2, rel=0.05)
    assert summary.sharp_ratio == pytest.approx(0, abs=0.01)


def test_output_is_clamped_before_it_is_scored():
    target = torch.ones(3, 8, 8)
    assert score("one", target * 0.9, target * 1.3, target).psnr_after == 100.0


def test_a_set_is_the_mean_of_its_pictures_and_names_the_worst():
    target = torch.rand(3, 16, 16) * 0.5 + 0.2
    better = score("better", target + 0.1, target + 0.01, target)
    worse = score("worse", target + 0.01, target + 0.1, target)
    summary = summarise([better, worse])
    assert summary.pictures == 2
    assert summary.gain == pytest.approx(0, abs=1e-3)
    assert (summary.worst_name, round(summary.worst_gain)) == ("worse", -20)
    assert summary.psnr_before == pytest.approx(30, abs=1e-2)


@pytest.fixture
def identity(tmp_path) -> Path:
    """An untrained network returns its input."""
    config = NetworkConfig(
        widths=(8, 8, 16), encoder_blocks=(1, 1), decoder_blocks=(1, 1), bottleneck_depth=1, predictor_width=4
    )
    weights.save(FDIKP(config), tmp_path / "identity.safetensors", name="identity")
    return tmp_path / "identity.safetensors"


@pytest.mark.parametrize("path", ["--precision=float32", "--whole"])
def test_the_benchmark_of_a_network_that_does_nothing(tmp_path, identity, monkeypatch, capsys, path):
    generator = np.random.default_rng(0)
    for folder, names in {
        "kodak24": ["kodim01.png", "kodim02.png"],
        "lytro/source": ["a.png"],
        "lytro/target": ["a.png"],
        "epfl48/source": ["r0.jpg", "r1.jpg"],
        "epfl48/target": ["all.png"],
    }.items():
        (tmp_path / "eval" / folder).mkdir(parents=True)
        for name in names:
            pixels = generator.integers(0, 256, (48, 64, 3), np.uint8)
            Image.fromarray(pixels).save(tmp_path / "eval" / folder / name)
    arguments = ["--weights", str(identity), "--data", str(tmp_path / "eval"), "--out", str(tmp_path / "out"), path]
    monkeypatch.setattr(sys, "argv", [str(SCRIPT), *arguments])
    runpy.run_path(str(SCRIPT), run_name="__main__")
    table = capsys.readouterr().out
    assert table.count("\n| ") == 5  # the rule and four sets, after the head
    assert weights.sha256(identity) in table
    found = json.loads((tmp_path / "out" / "quality.json").read_text())
    assert {name: s["mean"]["pictures"] for name, s in found["sets"].items()} == {
        "kodak": 2,
        "lytro": 1,
        "epfl48": 2,
        "sharp": 2,
    }
    for name in found["sets"]:
        assert found["sets"][name]["mean"]["gain"] == pytest.approx(0, abs=1e-3)
    assert found["sets"]["sharp"]["mean"]["psnr_after"] == 100
    rows = list(csv.DictReader((tmp_path / "out" / "quality.csv").open()))
    assert [row["set"] for row in rows] == ["kodak"] * 2 + ["lytro"] + ["epfl48"] * 2 + ["sharp"] * 2


def test_a_set_that_is_not_there(tmp_path, identity, monkeypatch):
    (tmp_path / "lytro" / "source").mkdir(parents=True)
    arguments = ["--weights", str(identity), "--data", str(tmp_path), "--sets", "lytro"]
    monkeypatch.setattr(sys, "argv", [str(SCRIPT), *arguments])
    with pytest.raises(SystemExit, match="no pairs of the set lytro"):
        runpy.run_path(str(SCRIPT), run_name="__main__")
