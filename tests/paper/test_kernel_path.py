"""Does the kernel path earn its place: measures agree with obvious references, on pairs that are what they say."""

import csv
import json
import math
import runpy
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.signal import convolve2d
from scipy.stats import spearmanr
from skimage import data
from torch import Tensor

from fdikp import models
from fdikp.errors import DataError, FdikpError
from fdikp.network import FDIKP, PRESETS, NetworkConfig
from fdikp.paper.kernel_path import correlation, crops, measurements, response
from fdikp.paper.kernel_path.interventions import (
    coefficients_of,
    hold_predictions,
    intervene,
)
from fdikp.paper.kernel_path.known_blur import MARGIN, blur_kernel, mixed_pairs, out_of_focus, uniform_pairs
from fdikp.paper.kernel_path.measure import measure
from fdikp.synthesis import Aperture
from fdikp.transfer_functions import srgb_to_linear

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "kernel_path.py"


def photograph(y: int = 100, x: int = 200, side: int = 64) -> Tensor:
    return torch.from_numpy(data.coffee()[y : y + side, x : x + side].copy()).permute(2, 0, 1)[None] / 255


class TestResponse:
    blur = blur_kernel(2.5, Aperture(blades=5, angle=0.4))

    def test_the_image_of_a_point_is_blur_and_kernel_convolved(self):
        kernels = torch.randn(3, 5, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
        images = response.point_images(self.blur, kernels, 1.0)
        for image, kernel in zip(images, kernels, strict=True):
            # eq. 9 is a correlation
            expected = convolve2d(self.blur, kernel.flip(0, 1))
            inside = (len(image) - len(expected)) // 2
            np.testing.assert_allclose(image[inside:-inside, inside:-inside], expected, atol=1e-12)
            assert image.square().sum() == pytest.approx(float((expected**2).sum()))

    def test_with_dilation_2_taps_are_two_pixels_apart(self):
        kernel = torch.randn(1, 3, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
        apart = torch.zeros(1, 5, 5, dtype=torch.float64)
        apart[:, ::2, ::2] = kernel
        far, near = (response.point_images(self.blur, k, d)[0] for k, d in ((kernel, 2.0), (apart, 1.0)))
        torch.testing.assert_close(far, near)

    def test_energy_of_the_difference(self):
        image = torch.rand(9, 9, dtype=torch.float64)
        point = torch.zeros(9, 9, dtype=torch.float64)
        point[4, 4] = 1
        white = response.difference_energy(image, response.WHITE)
        assert float(white) == pytest.approx(float((image - point).square().sum()))
        for exponent in (response.WHITE, response.PHOTOGRAPH):
            assert float(response.difference_energy(point, exponent)) == pytest.approx(0, abs=1e-20)
            assert float(response.difference_energy(0 * point, exponent)) == pytest.approx(1)

    def test_fine_detail_counts_less_in_a_photograph(self):
        point = torch.zeros(33, 33, dtype=torch.float64)
        point[16, 16] = 1
        fine, coarse = point.clone(), point.clone()
        fine[16, 16:18] += torch.tensor([0.1, -0.1])
        coarse[12:21, 12:21] += 0.1 * math.sqrt(2) / 9
        white = [float(response.difference_energy(p, response.WHITE)) for p in (fine, coarse)]
        assert white[0] == pytest.approx(white[1])
        photo = [float(response.difference_energy(p, response.PHOTOGRAPH)) for p in (fine, coarse)]
        assert photo[0] < 0.2 * photo[1]

    @pytest.mark.parametrize("exponent", [response.WHITE, response.PHOTOGRAPH])
    def test_no_kernel_leaves_less_than_the_least(self, exponent):
        least = response.least_energy(self.blur, 3, 1.2, exponent)
        kernels = 0.3 * torch.randn(50, 3, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
        kernels[:, 1, 1] += 1
        others = response.difference_energy(response.point_images(self.blur, kernels, 1.2), exponent)
        unblurred = response.difference_energy(torch.nn.functional.pad(self.blur, (4, 4, 4, 4)), exponent)
        assert 0 < least < float(others.min()) and least < float(unblurred)

    def test_of_what_is_not_blurred_nothing_is_left(self):
        assert response.least_energy(blur_kernel(0.0, Aperture()), 3, 1.0, response.WHITE) == pytest.approx(
            0, abs=1e-20
        )

    def test_the_regularised_inverse_is_the_inverse_where_the_blur_takes_little(self):
        blur = torch.zeros(3, 3, dtype=torch.float64)
        blur[1, 1], blur[1, 2], blur[0, 1] = 0.8, 0.15, 0.05
        image = torch.from_numpy(convolve2d(blur, response.regularised_inverse(blur, 15)))
        assert float(response.difference_energy(image, response.WHITE)) < 1e-3
        disc = response.regularised_inverse(self.blur, 41)
        assert float(torch.fft.fft2(disc).abs().max()) < 5.2  # 1 / (2 √0.01), the most it amplifies

    def test_the_whole_response_of_a_network_that_does_nothing_is_the_blur(self):
        torch.manual_seed(0)
        network = FDIKP(PRESETS["fdikp-lite"]).eval().requires_grad_(False)
        stages = network.stages(photograph(side=80))
        (found,) = response.whole_responses(network, stages, self.blur.float(), [(35, 40)])
        inside = response.REACH - len(self.blur) // 2
        expected = torch.nn.functional.pad(self.blur.float(), (inside,) * 4)
        torch.testing.assert_close(found, expected, atol=1e-6, rtol=0)

    def test_the_whole_response_is_the_derivative_of_the_held_network(self, lively):
        x = photograph(side=80)
        stages = lively.stages(x)
        brighter = x.clone()
        brighter[..., 38, 41] += 0.01
        with torch.inference_mode(), intervene(lively, hold_predictions(stages), coefficients_of(stages)):
            change = (lively(brighter) - lively(x))[0].mean(dim=0) / 0.01
        reach = response.REACH
        expected = change[38 - reach : 38 + reach + 1, 41 - reach : 41 + reach + 1]
        (found,) = response.whole_responses(lively, stages, torch.ones(1, 1), [(38, 41)])
        torch.testing.assert_close(found, expected, atol=2e-4, rtol=0)
        assert (found - torch.nn.functional.pad(torch.ones(1, 1), (reach,) * 4)).abs().max() > 0.01

    def test_kernels_that_act_on_light_have_no_response(self, lively):
        network = FDIKP(replace(lively.config, kernels_act_on="light"))
        with pytest.raises(FdikpError, match="light"):
            response.whole_responses(network, network.stages(photograph()), self.blur, [(32, 32)])

    def test_places_have_texture_and_lie_apart(self):
        texture = torch.zeros(240, 250)
        texture[:160] = torch.rand(160, 250, generator=torch.Generator().manual_seed(0))
        places = response.textured_places(texture)
        assert len(places) == 6
        reach = response.REACH
        assert all(reach <= y < 240 - reach and reach <= x < 250 - reach for y, x in places)
        assert all(max(abs(a - c), abs(b - d)) >= 2 * reach for i, (a, b) in enumerate(places) for c, d in places[:i])
        assert all(texture[y, x] > 0.95 for y, x in places)
        assert response.textured_places(torch.zeros(240, 240)) == []


class TestKnownBlur:
    def test_a_point_of_light_becomes_the_kernel(self):
        aperture = Aperture(blades=5, angle=0.4, edge=0.1)
        dark = torch.zeros(3, 41, 41)
        dark[:, 20, 20] = 1
        light = srgb_to_linear(out_of_focus(dark, 2.0, aperture)).double()
        kernel = blur_kernel(2.0, aperture)
        reach = len(kernel) // 2
        around = light[0, 20 - reach : 21 + reach, 20 - reach : 21 + reach]
        torch.testing.assert_close(around, kernel, atol=2e-3, rtol=0.02)

    def test_pairs_of_one_radius(self):
        sharp = crops([data.coffee(), data.astronaut()], 64)
        assert [crop.shape for crop in sharp] == [(3, 64 + 2 * MARGIN, 64 + 2 * MARGIN)] * 2
        pairs = uniform_pairs(sharp, 3.0)
        assert pairs[0].aperture != pairs[1].aperture
        for pair, whole in zip(pairs, sharp, strict=True):
            torch.testing.assert_close(pair.target, whole[:, MARGIN:-MARGIN, MARGIN:-MARGIN])
            assert pair.blurred.shape == (3, 64, 64) and set(pair.radius.unique().tolist()) == {3.0}
            torch.testing.assert_close(pair.kernel(2), blur_kernel(1.5, pair.aperture))
            assert float((pair.blurred - pair.target).square().mean()) > 0

    def test_without_blur_the_picture_is_itself(self):
        sharp = crops([data.coffee()], 64)
        (pair,) = uniform_pairs(sharp, 0.0)
        torch.testing.assert_close(pair.blurred, pair.target, atol=1e-4, rtol=0)

    def test_mixed_pairs_are_of_several_radii(self):
        pairs = mixed_pairs(crops([data.coffee(), data.astronaut(), data.chelsea()], 64))
        assert all(pair.radius.max() - pair.radius.min() > 0.5 for pair in pairs)

    def test_pictures_that_are_too_small_are_counted(self):
        pictures = [np.zeros((side, 300, 3), np.uint8) for side in (100, 127, 128)]
        with pytest.raises(DataError, match="2 of 3 images have a side below 128"):
            crops(pictures, 64)


class TestCorrelation:
    def test_against_numpy_and_scipy(self):
        rng = np.random.default_rng(0)
        x = rng.integers(0, 5, 300) + 0.0  # many ties, as of a radius that is one number over a surface
        y = np.exp(x + rng.normal(0, 2, 300)).round(1)
        one_, other = torch.from_numpy(x), torch.from_numpy(y)
        assert correlation.pearson(one_, other) == pytest.approx(np.corrcoef(x, y)[0, 1])
        assert correlation.spearman(one_, other) == pytest.approx(spearmanr(x, y).statistic)

    def test_of_a_constant_there_is_none(self):
        assert math.isnan(correlation.pearson(torch.ones(5), torch.rand(5)))

    def test_texture_is_where_there_is_detail(self):
        picture = torch.full((1, 3, 64, 64), 0.5)
        picture[..., :24] += 0.1 * torch.randn(64, 24, generator=torch.Generator().manual_seed(0))
        found = correlation.texture(picture)[0, 0] > 0
        assert found[:, :20].all() and not found[:, 36:].any()


class TestMeasurements:
    found = (
        measurements.measurement("Gain", "a", "x", (1.0, 3.0)),
        measurements.measurement("Gain", "a", "y", (math.nan, 2.0)),
        measurements.measurement("Gain", "b", "x", ()),
    )

    def test_what_is_no_number_is_left_out(self):
        assert self.found[1].values == (2.0,)

    def test_markdown(self):
        assert measurements.markdown(self.found).splitlines() == [
            "**Gain** (2 images)",
            "",
            "|  | x | y |",
            "| --- | --- | --- |",
            "| a | 2.000 ± 1.414 | 2.000 (1) |",
            "| b | – | – |",
        ]

    def test_csv_and_json(self):
        rows = list(csv.DictReader(measurements.as_csv(self.found).splitlines()))
        assert [(row["row"], row["column"], row["mean"], row["images"]) for row in rows] == [
            ("a", "x", "2", "2"),
            ("a", "y", "2", "1"),
            ("b", "x", "", "0"),
        ]
        document = json.loads(measurements.as_json(self.found, {"weights": "w"}))
        assert document["about"] == {"weights": "w"}
        assert document["cells"][0]["values"] == [1.0, 3.0]


def test_what_is_measured_of_a_network_that_does_nothing():
    """Untrained, its coefficients are 0: no intervention changes anything, and the response to a blur is the blur."""
    torch.manual_seed(0)
    network = FDIKP(PRESETS["fdikp-lite"]).eval().requires_grad_(False)
    sharp = crops([data.coffee(), data.astronaut()], 80)
    found = measure(network, sharp, (1.5, 4.0), lambda what: None)
    table = {(c.table, c.row, c.column): c for c in found}
    against = [c for c in found if c.table == "PSNR against the network as it is, dB"]
    assert {c.column for c in against} == {"mixed", "1.5 px", "4 px"} and len(against) == 3 * 10
    assert max(abs(value) for c in against for value in c.values) < 1e-4
    assert table["PSNR, dB", "input", "1.5 px"].mean > table["PSNR, dB", "input", "4 px"].mean
    for spectrum in ("a photograph's spectrum", "a white spectrum"):
        shape = f"Energy of k* ⊗ k − δ over that of k − δ, {spectrum}"
        assert table[shape, "4 px", "whole path"].mean == pytest.approx(1, abs=1e-4)
        assert table[shape, "4 px", "fine: least possible"].mean < min(
            1, table[shape, "4 px", "fine: best of the predicted"].mean
        )
        # Reduced four times, a radius of 1.5 pixels is no blur
        assert table[shape, "1.5 px", "coarse: least possible"].values == ()
    # What an untrained dilated map starts from was fitted to such pairs
    assert table["Correlation of the dilation map with the true radius", "fine", "Pearson, across radii"].mean > 0.3


class TestScript:
    @pytest.fixture
    def folder(self, tmp_path) -> Path:
        (tmp_path / "sharp").mkdir()
        for name in ("coffee", "astronaut", "chelsea"):
            Image.fromarray(getattr(data, name)()[60:220, 100:300]).save(tmp_path / "sharp" / f"{name}.png")
        return tmp_path / "sharp"

    @pytest.fixture
    def run(self, tmp_path, monkeypatch):
        config = NetworkConfig(
            widths=(8, 8, 16), encoder_blocks=(1, 1), decoder_blocks=(1, 1), bottleneck_depth=1, predictor_width=4
        )
        models.save(FDIKP(config), tmp_path / "tiny.safetensors", name="tiny")

        def run(*args: str) -> None:
            given = ["--weights", str(tmp_path / "tiny.safetensors"), "--size", "80", "--radii", "2", *args]
            monkeypatch.setattr(sys, "argv", [str(SCRIPT), *given])
            runpy.run_path(str(SCRIPT), run_name="__main__")

        return run

    def test_tables_of_three_kinds(self, run, folder, tmp_path, capsys):
        run("--data", str(folder), "--images", "2", "--output", str(tmp_path / "out"))
        printed = capsys.readouterr().out
        assert (tmp_path / "out" / "kernel_path.md").read_text() == printed
        assert "(2 images)" in printed and models.describe(tmp_path / "tiny.safetensors").sha256 in printed
        rows = list(csv.DictReader((tmp_path / "out" / "kernel_path.csv").open()))
        document = json.loads((tmp_path / "out" / "kernel_path.json").read_text())
        assert len(rows) == len(document["cells"]) > 40
        assert document["about"]["images"].startswith("2 of ")

    @pytest.mark.parametrize(
        ("args", "message"),
        [
            (["--images", "1"], "at least 2"),
            (["--size", "90"], "multiple of 16"),
            (["--radii", "0.5"], "above 0.5"),
            (["--radii", "nan"], "above 0.5"),
        ],
    )
    def test_a_wrong_command_line(self, run, folder, args, message, capsys):
        with pytest.raises(SystemExit) as refused:
            run("--data", str(folder), *args)
        assert refused.value.code == 2 and message in capsys.readouterr().err

    def test_pictures_that_cannot_be_measured(self, run, folder):
        with pytest.raises(SystemExit, match="3 of 3 images have a side below 176"):
            run("--data", str(folder), "--size", "112")
        for name in ("astronaut", "chelsea"):
            (folder / f"{name}.png").unlink()
        with pytest.raises(SystemExit, match=r"coffee\.png: the only image"):
            run("--data", str(folder))
