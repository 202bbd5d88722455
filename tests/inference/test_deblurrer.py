"""The one path from image to image: kinds, tiles, memory, precision, threads."""

import io
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from skimage import data
from torch import Tensor

import fdikp
import fdikp.models
from fdikp import Deblurrer, FdikpError, Photo, PhotoError, load_model, read_photo, write_photo
from fdikp.imaging.tiles import spans
from fdikp.network import FDIKP, SIZE_MULTIPLE


@pytest.fixture(scope="module")
def model(tiny_weights: Path) -> Deblurrer:
    return load_model(tiny_weights, device="cpu", precision="float32", tile=128)


@pytest.fixture(scope="module")
def picture() -> np.ndarray:
    return data.coffee()[40:240, 100:391]  # 200 × 291: neither side a multiple of 16, both longer than a tile


def psnr(a: Any, b: Any) -> float:
    error = np.square(np.asarray(a, np.float64) - np.asarray(b, np.float64)).mean()
    return float(-10 * np.log10(max(error, 1e-20)))


def as_jpeg(picture: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "jpeg", quality=95)
    return buffer.getvalue()


class TestKinds:
    """The same kind comes out, with the same values whatever the kind."""

    @pytest.fixture
    def expected(self, model: Deblurrer, picture: np.ndarray) -> np.ndarray:
        result = model(picture)
        assert result.dtype == np.uint8 and result.shape == picture.shape
        assert psnr(result / 255, picture / 255) < 45  # it does something
        return result

    def test_photo(self, model: Deblurrer, picture: np.ndarray, expected: np.ndarray) -> None:
        result = model(Photo(picture))
        assert isinstance(result, Photo)
        np.testing.assert_array_equal(result.pixels, expected)

    def test_path(self, model: Deblurrer, picture: np.ndarray, expected: np.ndarray, tmp_path: Path) -> None:
        write_photo(Photo(picture), tmp_path / "photo.png")
        for path in (tmp_path / "photo.png", str(tmp_path / "photo.png")):
            result = model(path)
            assert isinstance(result, Photo)
            np.testing.assert_array_equal(result.pixels, expected)

    def test_bytes(self, model: Deblurrer, picture: np.ndarray) -> None:
        result = model(as_jpeg(picture))
        assert isinstance(result, bytes)
        assert read_photo(result).format == "jpeg"
        assert psnr(read_photo(result).pixels / 255, model(picture) / 255) > 30

    def test_pillow(self, model: Deblurrer, picture: np.ndarray, expected: np.ndarray) -> None:
        image = Image.fromarray(picture)
        image.info["dpi"] = (300, 300)
        result = model(image)
        assert isinstance(result, Image.Image) and result.mode == "RGB" and result.info["dpi"] == (300, 300)
        np.testing.assert_array_equal(np.asarray(result), expected)

    @pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA", "I;16", "P", "CMYK", "1"])
    def test_pillow_modes(self, model: Deblurrer, picture: np.ndarray, mode: str) -> None:
        image = Image.fromarray(picture)
        sixteen = Image.fromarray(picture[..., 0].astype(np.uint16) * 257)
        image = sixteen if mode == "I;16" else image.convert(mode)
        result = model(image)
        assert result.size == image.size
        assert result.mode == (mode if mode in ("L", "LA", "RGB", "RGBA", "I;16") else "RGB")
        if mode.endswith("A"):
            assert result.getchannel("A").tobytes() == image.getchannel("A").tobytes()

    def test_uint16_keeps_its_depth(self, model: Deblurrer, picture: np.ndarray, expected: np.ndarray) -> None:
        result = model(picture.astype(np.uint16) * 257)
        assert result.dtype == np.uint16
        assert np.abs(result / 257 - expected).max() < 0.51
        assert (result % 257).any()

    @pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16])
    def test_floats(self, model: Deblurrer, picture: np.ndarray, expected: np.ndarray, dtype: type) -> None:
        result = model((picture / 255).astype(dtype))
        assert result.dtype == dtype
        assert psnr(result, expected / 255) > 50

    def test_big_endian_read_only_and_reversed_arrays(
        self, model: Deblurrer, picture: np.ndarray, expected: np.ndarray
    ) -> None:
        frozen = picture.copy()
        frozen.setflags(write=False)
        np.testing.assert_array_equal(model(frozen), expected)
        big = model(picture.astype(">u2") * 257)
        assert np.abs(big / 257 - expected).max() < 0.51
        turned = model(np.ascontiguousarray(picture[::-1])[::-1])
        np.testing.assert_array_equal(turned, expected)

    def test_grey_is_the_mean_of_three_equal_channels(self, model: Deblurrer, picture: np.ndarray) -> None:
        assert model(picture[..., 1]).shape == picture.shape[:2]
        grey = 0.25 + picture[..., 1] / 510.0  # away from black and white, where the result is cut off
        three = model(np.repeat(grey[..., None], 3, axis=-1))
        assert np.abs(model(grey) - three.mean(-1)).max() < 1e-5

    @pytest.mark.parametrize("channels", [2, 4])
    def test_alpha_is_untouched(self, model: Deblurrer, picture: np.ndarray, channels: int) -> None:
        alpha = np.arange(picture[..., 0].size, dtype=np.uint8).reshape(picture.shape[:2])
        result = model(np.dstack((picture[..., : channels - 1], alpha)))
        np.testing.assert_array_equal(result[..., -1], alpha)
        np.testing.assert_array_equal(result[..., :-1], model(picture[..., : channels - 1]))

    @pytest.mark.parametrize("dtype", [torch.uint8, torch.float32, torch.float64])
    def test_tensors(self, model: Deblurrer, picture: np.ndarray, expected: np.ndarray, dtype: torch.dtype) -> None:
        x = torch.from_numpy(picture).permute(2, 0, 1)
        x = x if dtype == torch.uint8 else x.to(dtype) / 255
        result = model(x)
        assert result.shape == x.shape and result.dtype == dtype
        scale = 255 if dtype == torch.uint8 else 1
        assert psnr(result.permute(1, 2, 0) / scale, expected / 255) > 50
        batch = model(torch.stack((x, x.flip(-1))))
        assert batch.shape == (2, *x.shape)
        torch.testing.assert_close(batch[0], result)

    def test_the_input_is_not_changed(self, model: Deblurrer, picture: np.ndarray) -> None:
        before = picture.copy()
        model(picture)
        model.analyse(picture)
        np.testing.assert_array_equal(picture, before)

    @pytest.mark.parametrize(
        "wrong",
        [
            None,
            3,
            np.zeros((4, 4, 5), np.uint8),
            np.zeros((0, 4, 3), np.uint8),
            np.zeros((2, 4, 4, 3), np.uint8),
            np.zeros((4, 4, 3), np.int32),
            np.zeros((4, 4, 3), bool),
            np.full((4, 4, 3), np.nan),
            np.full((4, 4, 3), np.inf, np.float32),
            np.full((4, 4, 3), 200.0),
            torch.zeros(4, 4),
            torch.zeros(4, 8, 8),
            torch.full((3, 8, 8), torch.nan),
            b"",
            b"not a photograph",
            "no/such/file.jpg",
        ],
        ids=repr,
    )
    def test_what_is_no_picture_is_refused_in_one_line(self, model: Deblurrer, wrong: Any) -> None:
        with pytest.raises(PhotoError) as error:
            model(wrong)
        assert "\n" not in str(error.value)


@pytest.mark.parametrize("size", [(1, 1), (1, 500), (333, 7), (47, 49), (129, 16)])
def test_odd_sizes(model: Deblurrer, size: tuple[int, int]) -> None:
    x = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    assert model(x).shape == x.shape


class TestStrength:
    def test_nothing_of_the_change_is_the_input(self, model: Deblurrer, picture: np.ndarray) -> None:
        np.testing.assert_array_equal(model(picture, strength=0.0), picture)

    def test_half_is_half_way(self, model: Deblurrer, picture: np.ndarray) -> None:
        x = 0.45 + picture / 2550.0  # away from black and white, where the result is cut off
        full, half = model(x), model(x, strength=0.5)
        assert np.abs(half - (x + full) / 2).max() < 1e-5


class TestTiles:
    def test_one_piece_and_tiles_agree(self, tiny_weights: Path, picture: np.ndarray) -> None:
        """Without global parts a tile would match exactly; the bound is what blending leaves of their difference."""
        whole = load_model(tiny_weights, device="cpu", precision="float32", tile=0)(picture / 255.0)
        tiled = load_model(tiny_weights, device="cpu", precision="float32", tile=128)(picture / 255.0)
        change = np.square(whole - picture / 255.0).mean()
        assert np.square(whole - tiled).mean() < 0.1 * change

    def test_no_seam(self, tiny_weights: Path, picture: np.ndarray) -> None:
        """From one side of a tile's border to the other the result steps no further than the whole picture's does."""

        def steps(tile: int) -> np.ndarray:
            model = load_model(tiny_weights, device="cpu", precision="float32", tile=tile)
            return np.abs(np.diff(model(picture / 255.0), axis=1)).mean(axis=(0, 2))

        cut_up = spans(picture.shape[1], 128, 32, SIZE_MULTIPLE)
        borders = sorted({edge - 1 for s in cut_up for edge in (s.start, s.stop)} - {-1, picture.shape[1] - 1})
        assert len(borders) == 4
        tiled, whole = steps(128)[borders], steps(0)[borders]
        assert (tiled < 1.25 * whole).all()

    def test_progress_counts_tiles(self, model: Deblurrer, picture: np.ndarray) -> None:
        seen: list[tuple[int, int]] = []
        done = model.restore(Photo(picture), progress=lambda *at: seen.append(at))
        assert seen == [(i + 1, done.tiles) for i in range(done.tiles)] and done.tiles == 2 * 3

    def test_what_progress_raises_ends_the_work(self, model: Deblurrer, picture: np.ndarray) -> None:
        def stop(done: int, total: int) -> None:
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            model.restore(Photo(picture), progress=stop)


class Failing(FDIKP):
    """A network that fails in a chosen way before it works."""

    fail: Any = staticmethod(lambda x: None)

    def padded_stages(self, x: Tensor) -> Any:
        self.fail(x)
        return super().padded_stages(x)


def failing(model: Deblurrer, fail: Any, precision: torch.dtype = torch.float32) -> Deblurrer:
    network = Failing(model.engine.network.config).eval().requires_grad_(False)
    network.load_state_dict(model.engine.float32.state_dict())
    network.fail = fail
    return Deblurrer(network, model.weights, device=torch.device("cpu"), precision=precision, tile=256)


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
    def test_the_tile_is_halved_until_it_fits(self, model: Deblurrer, picture: np.ndarray, error: Exception) -> None:
        def fail(x: Tensor) -> None:
            if x.shape[-1] > 128:
                raise error

        done = failing(model, fail).restore(Photo(picture))
        assert done.notes == ("out of memory: tile 256 halved to 128",)
        np.testing.assert_array_equal(done.photo.pixels, model(picture))

    def test_and_said_when_nothing_fits(self, model: Deblurrer, picture: np.ndarray) -> None:
        def fail(x: Tensor) -> None:
            raise MemoryError

        with pytest.raises(FdikpError, match="out of memory even with tiles of 64"):
            failing(model, fail)(picture)

    def test_other_errors_are_not_taken_for_it(self, model: Deblurrer, picture: np.ndarray) -> None:
        def fail(x: Tensor) -> None:
            raise RuntimeError("something else")

        with pytest.raises(RuntimeError, match="something else"):
            failing(model, fail)(picture)


class TestPrecision:
    def test_bfloat16_is_close(self, tiny_weights: Path, model: Deblurrer, picture: np.ndarray) -> None:
        half = load_model(tiny_weights, device="cpu", precision="bfloat16", tile=128)
        assert psnr(half(picture) / 255, model(picture) / 255) > 35

    def test_a_tile_that_is_not_finite_is_redone_in_float32(self, model: Deblurrer, picture: np.ndarray) -> None:
        broken = failing(model, lambda x: None, torch.bfloat16)
        broken.engine.network.output.bias.fill_(torch.nan)
        done = broken.restore(Photo(picture))
        assert len(done.notes) == done.tiles and "redone in float32" in done.notes[0]
        whole = Deblurrer(
            model.engine.float32, model.weights, device=torch.device("cpu"), precision=torch.float32, tile=256
        )
        np.testing.assert_array_equal(done.photo.pixels, whole(picture))

    def test_unusable_weights_are_said(self, model: Deblurrer, picture: np.ndarray) -> None:
        broken = failing(model, lambda x: None)
        broken.engine.network.output.bias.fill_(torch.nan)
        with pytest.raises(FdikpError, match="unusable"):
            broken(picture)


def test_threads_do_not_disturb_each_other(model: Deblurrer) -> None:
    pictures = [np.random.default_rng(i).integers(0, 256, (90, 150, 3), dtype=np.uint8) for i in range(6)]
    alone = [model(p) for p in pictures]
    together: list[Any] = [None] * 6

    def work(i: int) -> None:
        together[i] = model(pictures[i])

    threads = [threading.Thread(target=work, args=(i,)) for i in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for a, b in zip(alone, together, strict=True):
        np.testing.assert_array_equal(a, b)


class TestAnalysis:
    def test_shows_what_the_result_was_made_of(self, model: Deblurrer, picture: np.ndarray) -> None:
        shown = model.analyse(picture)
        np.testing.assert_array_equal(shown.image, model(picture))
        H, W = picture.shape[:2]
        assert shown.blur_map.shape == (H, W) and shown.blur_map.min() > 0 and shown.blur_map.max() < 2
        assert shown.kernels.shape == (6, 3, 2, 5, 5, 5)
        np.testing.assert_array_equal(shown.kernels[:, 0, 0], shown.kernels[:, 0, 1])  # coarsest: one image
        assert shown.coefficients.shape == (12, H, W) and np.abs(shown.coefficients).max() <= 1
        assert len(shown.coefficient_names) == 12
        assert shown.tile_origins.shape == (6, 4)
        assert shown.tile_origins[0].tolist() == [0, 0, 128, 128]
        assert (shown.tile_origins[:, :2] + shown.tile_origins[:, 2:]).max(axis=0).tolist() == [H, W]

    def test_matches_the_network_on_one_tile(self, model: Deblurrer, picture: np.ndarray) -> None:
        small = picture[:64, :96]
        stage = model.engine.float32.stages(torch.from_numpy(small).permute(2, 0, 1)[None].float() / 255)[-1]
        shown = model.analyse(small)
        np.testing.assert_allclose(shown.blur_map, stage.dilation[0, 0], atol=1e-6)
        np.testing.assert_allclose(shown.coefficients, stage.coefficients[0].flatten(0, 1), atol=1e-5)
        np.testing.assert_allclose(shown.kernels[0, -1], stage.kernels[0], atol=1e-6)

    def test_blur_map_alone(self, model: Deblurrer, picture: np.ndarray) -> None:
        done = model.restore(Photo(picture), blur_map=True)
        np.testing.assert_allclose(done.blur_map, model.analyse(picture).blur_map, atol=1e-6)
        assert model.restore(Photo(picture)).blur_map is None

    def test_a_batch_is_refused(self, model: Deblurrer) -> None:
        with pytest.raises(FdikpError, match="one picture"):
            model.analyse(torch.rand(2, 3, 64, 64))


class TestLoading:
    @pytest.mark.parametrize("tile", [63, 100, 32, -16])
    def test_tiles_off_the_grid_are_refused(self, tiny_weights: Path, tile: int) -> None:
        with pytest.raises(FdikpError, match="multiple of 16"):
            load_model(tiny_weights, tile=tile)

    @pytest.mark.parametrize("device", ["cuda:99", "nonsense", ""])
    def test_devices_that_are_not_there_are_refused(self, tiny_weights: Path, device: str) -> None:
        with pytest.raises(FdikpError, match="device"):
            load_model(tiny_weights, device=device)

    def test_unknown_precision_is_refused(self, tiny_weights: Path) -> None:
        with pytest.raises(FdikpError, match="precision float8"):
            load_model(tiny_weights, precision="float8")

    def test_importing_the_package_does_not_import_torch(self) -> None:
        import subprocess
        import sys

        code = "import sys, fdikp; assert 'torch' not in sys.modules and 'pyvips' not in sys.modules; fdikp.load_model"
        subprocess.run([sys.executable, "-c", code], check=True)

    def test_public_names_are_there(self) -> None:
        assert all(getattr(fdikp, name) is not None for name in fdikp.__all__)
        assert set(fdikp.__all__) <= set(dir(fdikp))


def test_a_picture_is_restored_without_torch_s_compiler_or_triton(tiny_weights: Path) -> None:
    """Importing them takes over a second, which every `fdikp deblur` would wait for."""
    script = f"""
import sys, fdikp, numpy
fdikp.load_model({str(tiny_weights)!r}, "cpu")(numpy.full((64, 64, 3), 90, numpy.uint8))
print({{"torch._dynamo", "triton"}} & set(sys.modules))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True, text=True)
    assert done.stdout.strip() == "set()"
