"""Restoring an image: strength, tiles, memory, precision, threads, and what an analysis returns."""

import threading
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from fdikp import Deblurrer, FdikpError, Photo, load_model
from fdikp.errors import ArgumentError, Cancelled
from fdikp.imaging.selection import Selection
from fdikp.imaging.tiles import spans
from fdikp.network import FDIKP, SIZE_MULTIPLE


def psnr(a: Any, b: Any) -> float:
    error = np.square(np.asarray(a, np.float64) - np.asarray(b, np.float64)).mean()
    return float(-10 * np.log10(max(error, 1e-20)))


class TestStrength:
    def test_nothing_of_the_change_is_the_input(self, model: Deblurrer, pixels: np.ndarray) -> None:
        np.testing.assert_array_equal(model(pixels, strength=0.0), pixels)

    def test_half_is_half_way(self, model: Deblurrer, pixels: np.ndarray) -> None:
        x = 0.45 + pixels / 2550.0  # away from black and white, where the result is cut off
        full, half = model(x), model(x, strength=0.5)
        assert np.abs(half - (x + full) / 2).max() < 1e-5

    @pytest.mark.parametrize("strength", [-0.1, 2.01, float("nan"), float("inf"), True])
    @pytest.mark.parametrize("method", ["__call__", "restore", "restore_bands", "predict", "analyse"])
    def test_other_strengths_are_refused(self, model: Deblurrer, strength: float, method: str) -> None:
        image = Photo(np.zeros((4, 4, 3), np.uint8)) if method.startswith("restore") else torch.zeros(3, 4, 4)
        with pytest.raises(ValueError, match=rf"^strength={strength}: must be between 0 and 2$") as caught:
            getattr(model, method)(image, strength=strength)
        assert isinstance(caught.value, FdikpError)

    def test_an_iterable_checks_it_at_once(self, model: Deblurrer) -> None:
        with pytest.raises(ValueError, match="strength"):
            model(["a.jpg"], strength=3)


class TestWrongArguments:
    @pytest.mark.parametrize("method", ["restore", "restore_bands"])
    @pytest.mark.parametrize("wrong", ["a.jpg", np.zeros((4, 4, 3), np.uint8), None], ids=["path", "array", "none"])
    def test_what_is_no_photo_is_refused(self, model: Deblurrer, method: str, wrong: Any) -> None:
        with pytest.raises(
            TypeError, match=r"^\w+ is not a Photo; read one with read_photo, or call the model itself$"
        ):
            getattr(model, method)(wrong)

    @pytest.mark.parametrize(
        ("wrong", "message"),
        [
            (torch.zeros(1, 3, 8, 8), r"^x=\(1, 3, 8, 8\): must be an image \[3, H, W\]$"),
            (torch.zeros(1, 8, 8), r"^x=\(1, 8, 8\): must be an image"),
            (torch.zeros(3, 8, 0), r"^x=\(3, 8, 0\): must be an image"),
            (torch.zeros(3, 8, 8, dtype=torch.uint8), r"^x='uint8': must be floats in 0\.\.1; convert it first$"),
        ],
        ids=["batch", "grey", "empty", "integers"],
    )
    def test_predict_takes_one_image_of_floats(self, model: Deblurrer, wrong: Tensor, message: str) -> None:
        with pytest.raises(ArgumentError, match=message):
            model.predict(wrong)

    def test_predict_takes_tensors(self, model: Deblurrer) -> None:
        with pytest.raises(TypeError, match=r"^ndarray is not a tensor"):
            model.predict(np.zeros((3, 8, 8)))  # type: ignore[arg-type]


class TestTiles:
    def test_one_piece_and_tiles_agree(self, tiny_weights: Path, pixels: np.ndarray) -> None:
        """Without global parts a tile would match exactly; the bound is what blending leaves of their difference."""
        whole = load_model(tiny_weights, device="cpu", precision="float32", tile=0)(pixels / 255.0)
        tiled = load_model(tiny_weights, device="cpu", precision="float32", tile=128)(pixels / 255.0)
        change = np.square(whole - pixels / 255.0).mean()
        assert np.square(whole - tiled).mean() < 0.1 * change

    def test_no_seam(self, tiny_weights: Path, pixels: np.ndarray) -> None:
        """From one side of a tile's border to the other the result steps no further than the whole pixels's does."""

        def steps(tile: int) -> np.ndarray:
            model = load_model(tiny_weights, device="cpu", precision="float32", tile=tile)
            return np.abs(np.diff(model(pixels / 255.0), axis=1)).mean(axis=(0, 2))

        side_spans = spans(pixels.shape[1], 128, 32, SIZE_MULTIPLE)
        borders = sorted({edge - 1 for s in side_spans for edge in (s.start, s.stop)} - {-1, pixels.shape[1] - 1})
        assert len(borders) == 4
        tiled, whole = steps(128)[borders], steps(0)[borders]
        assert (tiled < 1.25 * whole).all()

    def test_progress_counts_tiles(self, model: Deblurrer, pixels: np.ndarray) -> None:
        calls: list[tuple[int, int]] = []
        done = model.restore(Photo(pixels), progress=lambda *call: calls.append(call))
        assert calls == [(i + 1, done.tiles) for i in range(done.tiles)] and done.tiles == 2 * 3

    def test_a_call_reports_it_for_each_image(self, model: Deblurrer, pixels: np.ndarray) -> None:
        calls: list[tuple[int, int]] = []
        list(model([pixels[:64, :64], pixels[:64, :200]], progress=lambda *call: calls.append(call)))
        assert calls == [(1, 1), (1, 2), (2, 2)]

    def test_what_progress_raises_ends_the_work(self, model: Deblurrer, pixels: np.ndarray) -> None:
        def stop(done: int, total: int) -> None:
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            model.restore(Photo(pixels), progress=stop)


class TestCancel:
    @pytest.mark.parametrize("tiles", [0, 1, 4])
    def test_no_tile_is_computed_after_it(self, model: Deblurrer, pixels: np.ndarray, tiles: int) -> None:
        done: list[int] = []

        def progress(count: int, total: int) -> None:
            done.append(count)

        def cancel() -> bool:
            return len(done) == tiles

        calls = (
            lambda: model.restore(Photo(pixels), progress=progress, cancel=cancel),
            lambda: list(model.restore_bands(Photo(pixels), progress=progress, cancel=cancel)),
            lambda: model.predict(torch.from_numpy(pixels).permute(2, 0, 1) / 255, progress=progress, cancel=cancel),
            lambda: model.analyse(pixels, progress=progress, cancel=cancel),
        )
        for call in calls:
            done.clear()
            with pytest.raises(Cancelled, match=rf"after {tiles} of 6 tiles") as caught:
                call()
            assert caught.value.code == "cancelled" and len(done) == tiles

    def test_a_call(self, model: Deblurrer, pixels: np.ndarray) -> None:
        asked: list[bool] = []

        def cancel() -> bool:
            asked.append(True)
            return len(asked) > 2

        with pytest.raises(Cancelled):
            model(pixels, cancel=cancel)
        assert len(asked) == 3

    def test_nothing_is_lost_without_it(self, model: Deblurrer, pixels: np.ndarray) -> None:
        np.testing.assert_array_equal(model(pixels, cancel=lambda: False), model(pixels))


class TestBands:
    def test_they_are_the_result_in_order(self, model: Deblurrer, pixels: np.ndarray) -> None:
        for photo in (Photo(pixels), Photo(pixels[..., :1].astype(np.uint16) * 257)):
            bands = list(model.restore_bands(photo, strength=0.8))
            assert len(bands) == 2
            assert [y for y, _ in bands] == [0, len(bands[0][1])]
            together = np.concatenate([rows for _, rows in bands])
            assert together.dtype == photo.pixels.dtype
            np.testing.assert_array_equal(together, model.restore(photo, strength=0.8).photo.pixels)

    def test_a_band_comes_before_the_next_row_of_tiles(self, model: Deblurrer, pixels: np.ndarray) -> None:
        done: list[int] = []
        bands = model.restore_bands(Photo(pixels), progress=lambda count, total: done.append(count))
        assert done == []
        next(bands)
        assert done == [1, 2, 3]

    @pytest.mark.parametrize("selective", [False, True])
    def test_memory_does_not_grow_with_the_height(self, model: Deblurrer, selective: bool) -> None:
        """Of numpy's arrays, which hold bands and results. Torch's hold a tile."""
        model = with_tile(model, 64)
        peaks = []
        for height in (200, 800):
            photo = Photo(np.zeros((height, 64, 3), np.float32))
            limits: Any = {"regions": ("0,0,50%,100%",), "min_blur": 0} if selective else {}
            selection = Selection(np.ones((height // 2, 32), np.uint8) if selective else None, **limits)
            next(model.restore_bands(photo, selection=selection))
            tracemalloc.start()
            for _ in model.restore_bands(photo, selection=selection):
                pass
            peaks.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
        one_map = (800 - 200) * 64 * 4
        assert peaks[1] < peaks[0] + one_map / 2

    def test_rows_come_once_where_memory_runs_out(self, model: Deblurrer, pixels: np.ndarray) -> None:
        batches: list[int] = []

        def fail(x: Tensor) -> None:
            batches.append(x.shape[-1])
            if len(batches) == 3:  # the second row of tiles
                raise MemoryError

        bands = failing(model, fail, tile=160).restore_bands(Photo(pixels))
        rows = {y: len(rows) for y, rows in bands}
        assert bands.notes == ("out of memory: tile 160 halved to 80",)
        next_row = 0
        for y, count in rows.items():
            assert y == next_row
            next_row += count
        assert next_row == len(pixels) and len(rows) > 2


def with_tile(model: Deblurrer, tile: int) -> Deblurrer:
    return Deblurrer(model.network, model.descriptor, device=torch.device("cpu"), precision=torch.float32, tile=tile)


class Failing(FDIKP):
    """A network that fails in a chosen way before it works."""

    fail: Any = staticmethod(lambda x: None)

    def padded_stages(self, x: Tensor) -> Any:
        self.fail(x)
        return super().padded_stages(x)


def failing(model: Deblurrer, fail: Any, precision: torch.dtype = torch.float32, tile: int = 256) -> Deblurrer:
    network = Failing(model.runtime.network.config).eval().requires_grad_(False)
    network.load_state_dict(model.network.state_dict())
    network.fail = fail
    return Deblurrer(network, model.descriptor, device=torch.device("cpu"), precision=precision, tile=tile)


class TestMemory:
    @pytest.mark.parametrize(
        "error",
        [
            MemoryError(),
            torch.OutOfMemoryError("CUDA out of memory"),
            RuntimeError("DefaultCPUAllocator: can't allocate memory"),
        ],
        ids=["host", "cuda", "torch on cpu"],
    )
    def test_the_tile_is_halved_until_it_fits(self, model: Deblurrer, pixels: np.ndarray, error: Exception) -> None:
        def fail(x: Tensor) -> None:
            if x.shape[-1] > 128:
                raise error

        done = failing(model, fail).restore(Photo(pixels))
        assert done.notes == ("out of memory: tile 256 halved to 128",)
        np.testing.assert_array_equal(done.photo.pixels, model(pixels))

    def test_an_error_when_nothing_fits(self, model: Deblurrer, pixels: np.ndarray) -> None:
        def fail(x: Tensor) -> None:
            raise MemoryError

        with pytest.raises(FdikpError, match="out of memory even with tiles of 64"):
            failing(model, fail)(pixels)

    def test_other_errors_are_not_taken_for_it(self, model: Deblurrer, pixels: np.ndarray) -> None:
        def fail(x: Tensor) -> None:
            raise RuntimeError("something else")

        with pytest.raises(RuntimeError, match="something else"):
            failing(model, fail)(pixels)


class TestPrecision:
    def test_bfloat16_is_close(self, tiny_weights: Path, model: Deblurrer, pixels: np.ndarray) -> None:
        half = load_model(tiny_weights, device="cpu", precision="bfloat16", tile=128)
        assert psnr(half(pixels) / 255, model(pixels) / 255) > 35

    def test_a_tile_that_is_not_finite_is_redone_in_float32(self, model: Deblurrer, pixels: np.ndarray) -> None:
        broken = failing(model, lambda x: None, torch.bfloat16)
        broken.runtime.network.output.bias.fill_(torch.nan)
        done = broken.restore(Photo(pixels))
        assert len(done.notes) == done.tiles and "redone in float32" in done.notes[0]
        whole = Deblurrer(
            model.network,
            model.descriptor,
            device=torch.device("cpu"),
            precision=torch.float32,
            tile=256,
        )
        np.testing.assert_array_equal(done.photo.pixels, whole(pixels))

    def test_unusable_weights_are_reported(self, model: Deblurrer, pixels: np.ndarray) -> None:
        broken = failing(model, lambda x: None)
        broken.runtime.network.output.bias.fill_(torch.nan)
        with pytest.raises(FdikpError, match="not finite even in float32"):
            broken(pixels)


def test_threads_do_not_disturb_each_other(model: Deblurrer) -> None:
    images = [np.random.default_rng(i).integers(0, 256, (90, 150, 3), dtype=np.uint8) for i in range(6)]
    alone = [model(p) for p in images]
    together: list[Any] = [None] * 6

    def work(i: int) -> None:
        together[i] = model(images[i])

    threads = [threading.Thread(target=work, args=(i,)) for i in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for a, b in zip(alone, together, strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_model_says_what_it_is(model: Deblurrer, tiny_weights: Path) -> None:
    assert repr(model) == "Deblurrer('tiny', device='cpu', precision='float32', tile=128)"
    whole = load_model(tiny_weights, "cpu", "bfloat16", tile=0, ensemble=True)
    assert repr(whole) == "Deblurrer('tiny', device='cpu', precision='bfloat16', tile=0, ensemble=True)"


class TestAnalysis:
    def test_shows_what_the_result_was_made_of(self, model: Deblurrer, pixels: np.ndarray) -> None:
        analysis = model.analyse(pixels)
        np.testing.assert_array_equal(analysis.image, model(pixels))
        H, W = pixels.shape[:2]
        assert analysis.dilation_map.shape == (H, W)
        assert analysis.dilation_map.min() > 0 and analysis.dilation_map.max() < 2
        assert analysis.kernels.shape == (6, 3, 2, 5, 5, 5)
        np.testing.assert_array_equal(analysis.kernels[:, 0, 0], analysis.kernels[:, 0, 1])  # coarsest: one image
        assert analysis.coefficients.shape == (12, H, W) and np.abs(analysis.coefficients).max() <= 1
        assert len(analysis.coefficient_names) == 12
        assert analysis.tile_boxes.shape == (6, 4)
        assert analysis.tile_boxes[0].tolist() == [0, 0, 128, 128]
        assert (analysis.tile_boxes[:, :2] + analysis.tile_boxes[:, 2:]).max(axis=0).tolist() == [H, W]

    def test_has_a_strength(self, model: Deblurrer, pixels: np.ndarray) -> None:
        small = pixels[:64, :64]
        np.testing.assert_array_equal(model.analyse(small, strength=0.5).image, model(small, strength=0.5))

    def test_matches_the_network_on_one_tile(self, model: Deblurrer, pixels: np.ndarray) -> None:
        small = pixels[:64, :96]
        stage = model.network.stages(torch.from_numpy(small).permute(2, 0, 1)[None].float() / 255)[-1]
        analysis = model.analyse(small)
        np.testing.assert_allclose(analysis.dilation_map, stage.dilation[0, 0], atol=1e-6)
        np.testing.assert_allclose(analysis.coefficients, stage.coefficients[0].flatten(0, 1), atol=1e-5)
        np.testing.assert_allclose(analysis.kernels[0, -1], stage.kernels[0], atol=1e-6)

    @pytest.mark.parametrize("batch", [torch.rand(2, 3, 64, 64), np.zeros((1, 64, 64, 3))], ids=["tensor", "array"])
    def test_a_batch_is_refused(self, model: Deblurrer, batch: Any) -> None:
        with pytest.raises(ValueError, match=r"^image=\([\d, ]+\): a batch cannot be analysed; give one image$"):
            model.analyse(batch)

    def test_an_iterable_is_refused(self, model: Deblurrer, pixels: np.ndarray) -> None:
        with pytest.raises(TypeError, match="list is not a kind of image"):
            model.analyse([pixels])
