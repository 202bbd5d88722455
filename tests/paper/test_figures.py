"""What the figures show: where, which values, under which names."""

import numpy as np
import pytest
import torch
from skimage import data
from skimage.metrics import peak_signal_noise_ratio

from fdikp.errors import DataError, FdikpError
from fdikp.inference.deblurrer import Deblurrer
from fdikp.models import ModelDescriptor
from fdikp.network import FDIKP, PRESETS
from fdikp.paper.figures import dilation_map, failures, inverse_kernels, spectra, strips
from fdikp.paper.figures.inverse_kernels import PredictedKernels
from fdikp.paper.figures.strips import FigureImage, Strip
from fdikp.paper.kernel_path.known_blur import blur_kernel
from fdikp.plots import canvas
from fdikp.synthesis import Aperture


def well_drawn(picture: np.ndarray) -> bool:
    """900 pixels wide, and with a white margin: labels that were cut off would reach into it."""
    edges = picture[0], picture[-1], picture[:, 0], picture[:, -1]
    of_a_page = picture.shape[1:] == (900, 3) and picture.dtype == np.uint8
    return of_a_page and all(bool((edge == 255).all()) for edge in edges)


def shown(axes) -> np.ndarray:
    """The array of the first image in some axes."""
    return np.asarray(axes.images[0].get_array())


@pytest.fixture
def deblurrer(lively, tmp_path) -> Deblurrer:
    about = ModelDescriptor("lively", tmp_path, "", 0, lively.config)
    return Deblurrer(lively, about, device=torch.device("cpu"), precision=torch.float32)


class TestSpectra:
    def test_a_wave_is_two_points_at_its_frequency(self):
        y, x = np.mgrid[:64, :96]
        wave = 0.5 + 0.4 * np.cos(2 * np.pi * (8 * y / 64 + 24 * x / 96))[..., None].repeat(3, 2)
        amplitude = spectra.amplitude(wave)
        peaks = {divmod(int(i), 96) for i in np.argsort(amplitude.ravel())[-2:]}
        assert peaks == {(32 + 8, 48 + 24), (32 - 8, 48 - 24)}
        frequency, mean = spectra.radial_mean(amplitude)
        assert frequency[mean.argmax()] == pytest.approx(np.hypot(8 / 64, 24 / 96), abs=0.5 / 64)

    def test_means_over_rings(self):
        rows, columns = (np.fft.fftshift(np.fft.fftfreq(side)) for side in (60, 80))
        frequency, mean = spectra.radial_mean(np.hypot(rows[:, None], columns))
        np.testing.assert_allclose(mean, frequency, atol=0.25 / 60)
        assert (frequency[0], frequency[-1]) == (0, 0.5)

    def test_the_phase_of_a_picture_symmetric_about_its_middle_is_0_or_pi(self):
        quarter = np.random.default_rng(0).random((33, 33))
        half = np.concatenate((quarter[::-1], quarter[1:]))
        picture = np.concatenate((half[:, ::-1], half[:, 1:]), axis=1)[..., None].repeat(3, 2)
        np.testing.assert_allclose(np.sin(spectra.phase(picture)), 0, atol=1e-6)

    @pytest.mark.parametrize("zero", spectra.FIRST_ZEROS)
    def test_the_frequencies_that_are_marked_are_taken_away_by_a_disc(self, zero):
        kernel = blur_kernel(8.0, Aperture()).numpy()
        x = np.arange(len(kernel)) - len(kernel) // 2
        left = abs((kernel * np.exp(-2j * np.pi * x * zero / 8)).sum())
        beside = abs((kernel * np.exp(-2j * np.pi * x * (zero + 0.25) / 8)).sum())
        assert left < 0.01 and beside > 3 * left

    def test_what_the_figure_shows(self):
        sharp = data.astronaut()[:96, 200:328]
        blurred = np.repeat(sharp[:, ::4], 4, axis=1)
        figure = spectra.compose(sharp, blurred, "Spectra", radius=3.0)
        titles = [axes.get_title() for axes in figure.axes]
        assert titles[:3] == ["sharp", "sharp: amplitude", "sharp: phase"]
        assert titles[3:6] == ["out of focus", "out of focus: amplitude", "out of focus: phase"]
        log = np.log10(spectra.amplitude(sharp) / spectra.amplitude(sharp).max())
        visible = log > -4
        assert np.corrcoef(shown(figure.axes[1])[visible], log[visible])[0, 1] == pytest.approx(1)
        curves = {line.get_label(): line.get_xydata() for line in figure.axes[6].lines}
        frequency, mean = spectra.radial_mean(spectra.amplitude(blurred))
        assert np.corrcoef(curves["out of focus"][:, 1], mean[1:])[0, 1] == pytest.approx(1)
        np.testing.assert_allclose(curves["out of focus"][:, 0], frequency[1:])
        assert curves["zeros of a disc of radius 3 px"][0, 0] == pytest.approx(0.2033, abs=1e-4)

    def test_drawn_from_a_picture(self):
        picture = spectra.from_image(data.astronaut()[:64, 200:296], 2.0, "Spectra")
        assert well_drawn(picture)


class TestDilationMap:
    picture = data.chelsea()[100:164, 100:196]
    dilation = np.linspace(0, 1.5, 64 * 96, dtype=np.float32).reshape(64, 96)

    def test_the_map_alone_and_over_the_picture(self):
        figure = dilation_map.compose(self.picture, self.dilation, "Map")
        source, alone, over, bar = figure.axes
        np.testing.assert_array_equal(shown(source), self.picture)
        np.testing.assert_array_equal(shown(alone), self.dilation)
        np.testing.assert_allclose(shown(over), canvas.luminance(self.picture), atol=1e-6)
        np.testing.assert_array_equal(over.images[1].get_array(), self.dilation)
        assert 0 < over.images[1].get_alpha() < 1
        assert {image.get_clim() for axes in (alone, over) for image in axes.images[-1:]} == {(0, 2)}
        assert "pixels" in bar.get_xlabel()

    def test_beside_the_true_radius_with_a_scale_of_its_own(self):
        radius = 5 * self.dilation
        figure = dilation_map.compose(self.picture, self.dilation, "Map", radius)
        assert [axes.get_title() for axes in figure.axes[:2]] == ["out of focus", "true blur radius"]
        np.testing.assert_array_equal(shown(figure.axes[1]), radius)
        assert figure.axes[1].images[0].get_clim() == (0, 7.5)
        assert {axes.get_xlabel() for axes in figure.axes[4:]} == {
            "dilation D, pixels between taps",
            "blur radius, pixels",
        }
        assert well_drawn(canvas.render(figure))

    def test_of_a_model(self, deblurrer, monkeypatch):
        seen = []
        monkeypatch.setattr(dilation_map, "draw", lambda *given: seen.append(given))
        dilation_map.from_model(deblurrer, self.picture, "Map")
        np.testing.assert_allclose(seen[0][1], deblurrer.analyse(self.picture).dilation_map, atol=1e-6)


class TestInverseKernels:
    blurs = [blur_kernel(radius, Aperture()).numpy() for radius in (0.75, 1.5, 3.0)]  # noqa: RUF012

    @staticmethod
    def predicted(name: str, seed: int) -> PredictedKernels:
        return PredictedKernels(
            name, np.random.default_rng(seed).normal(size=(3, 4, 5, 5)).astype(np.float32), (0.2, 1, 1.8)
        )

    def test_a_row_for_each_predictor_and_stage(self):
        both = [self.predicted("frequency", 0), self.predicted("spatial", 1)]
        figure = inverse_kernels.compose(both, self.blurs, "Kernels")
        grid = np.array(figure.subfigs[0].axes[: 6 * 6]).reshape(6, 6)
        for row, (one, stage) in zip(grid, [(one, stage) for one in both for stage in range(3)], strict=True):
            for axes, kernel in zip(row[2:], one.kernels[stage], strict=True):
                np.testing.assert_array_equal(shown(axes), kernel)
            assert shown(row[0]).sum() == pytest.approx(1, abs=0.01)
            assert shown(row[1]).shape == shown(row[0]).shape
            assert one.name in row[0].get_ylabel() and f"{one.dilations[stage]:.2f} px" in row[0].get_ylabel()
        assert [axes.get_title() for axes in grid[0]] == [
            "true blur k",
            "its inverse",
            *(f"k* {n}" for n in (1, 2, 3, 4)),
        ]
        # Brown is as much in each as purple: white is 0
        assert len({axes.images[0].get_clim() for axes in grid[:, 1:].ravel()}) == 1
        assert well_drawn(canvas.render(figure))

    def test_with_one_predictor_it_has_its_own_rows_only(self):
        figure = inverse_kernels.compose([self.predicted("frequency", 0)], self.blurs, "Kernels")
        assert len([axes for axes in figure.subfigs[0].axes if axes.images]) == 3 * 6

    def test_responses_are_those_of_the_blur_after_the_kernel(self):
        delta = np.zeros((3, 1, 5, 5), np.float32)
        delta[:, :, 2, 2] = 1
        twice = PredictedKernels("twice", 2 * delta, (0.3, 1.3, 2.0))
        for stage, blur in enumerate(self.blurs):
            _, alone = inverse_kernels.response(blur)
            np.testing.assert_allclose(inverse_kernels.responses(twice, blur, stage)[0], 2 * alone, atol=1e-6)
        near = np.random.default_rng(0).normal(size=(3, 1, 3, 3))
        apart = np.zeros((3, 1, 5, 5))
        apart[..., ::2, ::2] = near
        found = [PredictedKernels("", near, (2, 2, 2)), PredictedKernels("", apart, (1, 1, 1))]
        same, wanted = (inverse_kernels.responses(one, self.blurs[2], 2) for one in found)
        np.testing.assert_allclose(same, wanted, atol=1e-9)
        frequency, alone = inverse_kernels.response(self.blurs[2])
        assert alone[0] == pytest.approx(1) and alone[np.abs(frequency - 0.2033).argmin()] < 0.03

    def test_the_curves_bear_the_names_of_what_they_show(self):
        figure = inverse_kernels.compose([self.predicted("frequency", 0)], self.blurs, "Kernels")
        coarse, middle, fine = figure.subfigs[1].axes
        assert [axes.get_title() for axes in (coarse, middle, fine)] == list(canvas.STAGE_TITLES)
        lines = {line.get_label(): line.get_ydata() for line in fine.lines}
        np.testing.assert_allclose(lines["blur alone"], inverse_kernels.response(self.blurs[2])[1])
        assert lines["with the regularised inverse"].max() <= 1
        assert (lines["with the regularised inverse"] >= lines["blur alone"] - 0.01).all()
        assert "k*, frequency" in lines

    def test_of_models(self, lively, monkeypatch):
        seen = []
        monkeypatch.setattr(inverse_kernels, "draw", lambda *given: seen.append(given))
        picture = data.astronaut()[:170, 150:330]
        inverse_kernels.from_models({"a": lively, "b": lively}, picture, 3.0, Aperture(), "Kernels")
        predicted, blurs, _ = seen[0]
        assert [one.name for one in predicted] == ["a", "b"]
        assert predicted[0].kernels.shape == (3, 5, 5, 5)
        assert all(0 < dilation < 2 for dilation in predicted[0].dilations)
        np.testing.assert_allclose(blurs[2], blur_kernel(3.0, Aperture()), atol=1e-7)

    def test_what_cannot_be_shown_is_refused(self, lively):
        with pytest.raises(DataError, match="texture"):
            inverse_kernels.from_models({"a": lively}, np.full((128, 128, 3), 99, np.uint8), 3.0, Aperture(), "Kernels")
        fixed = FDIKP(PRESETS["dsrm"])
        with pytest.raises(FdikpError, match="no inverse kernels"):
            inverse_kernels.from_models({"a": fixed}, data.astronaut()[:128, :128], 3.0, Aperture(), "Kernels")


class TestStrips:
    @staticmethod
    def pictures(count: int = 3, shape=(60, 90, 3)) -> list[np.ndarray]:
        return list(np.random.default_rng(0).integers(0, 256, (count, *shape), np.uint8))

    def test_insets_show_the_boxes_below_their_picture_in_the_frames_colours(self):
        boxes = [(slice(10, 22), slice(5, 17)), (slice(30, 50), slice(60, 80))]
        pictures = self.pictures()
        figure = strips.compose([Strip("one", pictures, boxes=boxes)], ("input", "method", "target"), "Strips")
        groups = np.array(figure.axes).reshape(3, 3)  # picture and its two insets
        for (axes, *insets), picture, name in zip(groups, pictures, ("input", "method", "target"), strict=True):
            assert axes.get_title() == name
            np.testing.assert_array_equal(shown(axes), picture)
            place = axes.get_position()
            assert insets[0].get_position().x0 == pytest.approx(place.x0)
            assert insets[1].get_position().x1 == pytest.approx(place.x1)
            for inset, (y, x), patch in zip(insets, boxes, axes.patches, strict=True):
                np.testing.assert_array_equal(shown(inset), picture[y, x])
                assert inset.get_position().y1 < place.y0
                assert patch.get_xy() == (x.start, y.start) and patch.get_width() == x.stop - x.start
                assert inset.spines["left"].get_edgecolor() == patch.get_edgecolor()
        assert groups[0, 0].get_ylabel() == "one"

    def test_boxes_are_where_input_and_target_differ(self):
        source = np.full((100, 100, 3), 90, np.uint8)
        target = source.copy()
        target[62:70, 12:20] = self.pictures(1, (8, 8, 3))[0]
        boxes = Strip("one", (source, self.pictures(1, source.shape)[0], target)).enlarged()
        y, x = boxes[0]
        assert y.start <= 62 and y.stop >= 70 and x.start <= 12 and x.stop >= 20

    def test_rows_do_not_overlap_whatever_their_shape(self):
        rows = [Strip(f"{h}×{w}", self.pictures(2, (h, w, 3)), ("a", "b")) for h, w in ((40, 60), (90, 30), (20, 200))]
        figure = strips.compose(rows, ("input", "restored"), "Strips")
        places = [axes.get_position() for axes in figure.axes]
        assert all(p.x0 > 0 and p.x1 < 1 and p.y0 > 0 and p.y1 < 1 for p in places)
        apart = [not a.overlaps(b) for i, a in enumerate(places) for b in places[:i]]
        assert all(apart)
        assert well_drawn(canvas.render(figure))

    def test_of_models_with_and_without_targets(self, deblurrer):
        source, target = self.pictures(2)
        assert well_drawn(strips.from_models({"lively": deblurrer}, [FigureImage("a", source, target)], "Strips"))
        assert well_drawn(strips.from_models({"lively": deblurrer}, [FigureImage("a", source)], "Strips"))


class TestFailures:
    def test_the_least_gain_comes_first_with_its_numbers(self):
        target = data.chelsea()[100:148, 100:164]
        rng = np.random.default_rng(0)

        def noisy(sigma: float) -> np.ndarray:
            return np.clip(target + rng.normal(0, sigma, target.shape), 0, 255).astype(np.uint8)

        cases = [FigureImage(name, noisy(10), target) for name in ("better", "worse", "same")]
        restored = [noisy(3), noisy(25), cases[2].source]
        figure = failures.compose(cases, restored, "Failures", count=2)
        first = [axes for axes in figure.axes if axes.get_ylabel()]
        assert [axes.get_ylabel() for axes in first] == ["worse", "same"]
        notes = [axes.get_xlabel() for axes in figure.axes if axes.get_xlabel()]
        before, after = (peak_signal_noise_ratio(target, p) for p in (cases[1].source, restored[1]))
        assert notes[:2] == [f"{before:.2f} dB", f"{after:.2f} dB (−{before - after:.2f})"]
        assert notes[3].endswith("(0.00)")
        assert well_drawn(canvas.render(figure))

    def test_what_equals_its_target_comes_last_and_gains_no_number(self):
        target = data.chelsea()[100:148, 100:164]
        dark, darker = target // 4 * 3, target // 2
        cases = [FigureImage("same", target, target), FigureImage("worse", dark, target)]
        figure = failures.compose(cases, [dark, darker], "Failures")
        assert [axes.get_ylabel() for axes in figure.axes if axes.get_ylabel()] == ["worse", "same"]
        assert "∞ dB" in [axes.get_xlabel() for axes in figure.axes]

    def test_of_a_model(self, deblurrer):
        target = data.chelsea()[100:148, 100:164]
        assert well_drawn(failures.from_model(deblurrer, [FigureImage("a", target // 2, target)], "Failures"))
