"""Kinds of image: the same kind is returned, with the same values."""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from fdikp import Deblurrer, Photo, PhotoError, read_photo, write_photo
from fdikp.errors import ArgumentError


def psnr(a: Any, b: Any) -> float:
    error = np.square(np.asarray(a, np.float64) - np.asarray(b, np.float64)).mean()
    return float(-10 * np.log10(max(error, 1e-20)))


def as_jpeg(pixels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "jpeg", quality=95)
    return buffer.getvalue()


class TestKinds:
    """The same kind is returned, with the same values whatever the kind."""

    @pytest.fixture
    def expected(self, model: Deblurrer, pixels: np.ndarray) -> np.ndarray:
        result = model(pixels)
        assert result.dtype == np.uint8 and result.shape == pixels.shape
        assert psnr(result / 255, pixels / 255) < 45  # it does something
        return result

    def test_photo(self, model: Deblurrer, pixels: np.ndarray, expected: np.ndarray) -> None:
        result = model(Photo(pixels))
        assert isinstance(result, Photo)
        np.testing.assert_array_equal(result.pixels, expected)

    def test_path(self, model: Deblurrer, pixels: np.ndarray, expected: np.ndarray, tmp_path: Path) -> None:
        write_photo(Photo(pixels), tmp_path / "photo.png")
        for path in (tmp_path / "photo.png", str(tmp_path / "photo.png")):
            result = model(path)
            assert isinstance(result, Photo)
            np.testing.assert_array_equal(result.pixels, expected)

    def test_binary_file(self, model: Deblurrer, pixels: np.ndarray, expected: np.ndarray, tmp_path: Path) -> None:
        path = tmp_path / "photo.png"
        write_photo(Photo(pixels), path)
        with path.open("rb") as file:
            result = model(file)
        assert isinstance(result, Photo) and result.format == "png"
        np.testing.assert_array_equal(result.pixels, expected)
        np.testing.assert_array_equal(model(io.BytesIO(path.read_bytes())).pixels, expected)

    def test_a_text_file_is_refused(self, model: Deblurrer) -> None:
        with pytest.raises(TypeError, match="StringIO is not a binary file; open it with mode 'rb'"):
            model(io.StringIO("text"))

    @pytest.mark.parametrize("kind", [bytearray, memoryview])
    def test_other_buffers_are_bytes(self, model: Deblurrer, pixels: np.ndarray, kind: Any) -> None:
        data = as_jpeg(pixels[:32, :32])
        assert model(kind(data)) == model(data)

    def test_bytes_in_a_format_that_is_not_written(self, model: Deblurrer, pixels: np.ndarray) -> None:
        buffer = io.BytesIO()
        Image.fromarray(pixels[:32, :32]).save(buffer, "gif")
        assert read_photo(model(buffer.getvalue())).format == "png"

    def test_bytes(self, model: Deblurrer, pixels: np.ndarray) -> None:
        result = model(as_jpeg(pixels))
        assert isinstance(result, bytes)
        assert read_photo(result).format == "jpeg"
        assert psnr(read_photo(result).pixels / 255, model(pixels) / 255) > 30

    def test_pillow(self, model: Deblurrer, pixels: np.ndarray, expected: np.ndarray) -> None:
        image = Image.fromarray(pixels)
        image.info["dpi"] = (300, 300)
        result = model(image)
        assert isinstance(result, Image.Image) and result.mode == "RGB" and result.info["dpi"] == (300, 300)
        np.testing.assert_array_equal(np.asarray(result), expected)

    @pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA", "I;16", "P", "CMYK", "1"])
    def test_pillow_modes(self, model: Deblurrer, pixels: np.ndarray, mode: str) -> None:
        image = Image.fromarray(pixels)
        sixteen = Image.fromarray(pixels[..., 0].astype(np.uint16) * 257)
        image = sixteen if mode == "I;16" else image.convert(mode)
        result = model(image)
        assert result.size == image.size
        assert result.mode == (mode if mode in ("L", "LA", "RGB", "RGBA", "I;16") else "RGB")
        if mode.endswith("A"):
            assert result.getchannel("A").tobytes() == image.getchannel("A").tobytes()

    def test_uint16_keeps_its_depth(self, model: Deblurrer, pixels: np.ndarray, expected: np.ndarray) -> None:
        result = model(pixels.astype(np.uint16) * 257)
        assert result.dtype == np.uint16
        assert np.abs(result / 257 - expected).max() < 0.51
        assert (result % 257).any()

    @pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16])
    def test_floats(self, model: Deblurrer, pixels: np.ndarray, expected: np.ndarray, dtype: type) -> None:
        result = model((pixels / 255).astype(dtype))
        assert result.dtype == dtype
        assert psnr(result, expected / 255) > 50

    def test_big_endian_read_only_and_reversed_arrays(
        self, model: Deblurrer, pixels: np.ndarray, expected: np.ndarray
    ) -> None:
        frozen = pixels.copy()
        frozen.setflags(write=False)
        np.testing.assert_array_equal(model(frozen), expected)
        big = model(pixels.astype(">u2") * 257)
        assert np.abs(big / 257 - expected).max() < 0.51
        turned = model(np.ascontiguousarray(pixels[::-1])[::-1])
        np.testing.assert_array_equal(turned, expected)

    def test_grey_is_the_mean_of_three_equal_channels(self, model: Deblurrer, pixels: np.ndarray) -> None:
        assert model(pixels[..., 1]).shape == pixels.shape[:2]
        grey = 0.25 + pixels[..., 1] / 510.0  # away from black and white, where the result is cut off
        three = model(np.repeat(grey[..., None], 3, axis=-1))
        assert np.abs(model(grey) - three.mean(-1)).max() < 1e-5

    @pytest.mark.parametrize("channels", [2, 4])
    def test_alpha_is_untouched(self, model: Deblurrer, pixels: np.ndarray, channels: int) -> None:
        alpha = np.arange(pixels[..., 0].size, dtype=np.uint8).reshape(pixels.shape[:2])
        result = model(np.dstack((pixels[..., : channels - 1], alpha)))
        np.testing.assert_array_equal(result[..., -1], alpha)
        np.testing.assert_array_equal(result[..., :-1], model(pixels[..., : channels - 1]))

    @pytest.mark.parametrize("channels", [1, 2, 3, 4])
    def test_batches_of_arrays(self, model: Deblurrer, pixels: np.ndarray, channels: int) -> None:
        rgba = np.dstack((pixels[:40, :50], pixels[:40, :50, 0]))[..., :channels]
        batch = np.stack((rgba, rgba[::-1], 255 - rgba))
        result = model(batch)
        assert result.shape == batch.shape and result.dtype == np.uint8
        for one, restored in zip(batch, result, strict=True):
            np.testing.assert_array_equal(restored, model(one))

    @pytest.mark.parametrize("dtype", [torch.uint8, torch.float32, torch.float64])
    def test_tensors(self, model: Deblurrer, pixels: np.ndarray, expected: np.ndarray, dtype: torch.dtype) -> None:
        x = torch.from_numpy(pixels).permute(2, 0, 1)
        x = x if dtype == torch.uint8 else x.to(dtype) / 255
        result = model(x)
        assert result.shape == x.shape and result.dtype == dtype
        scale = 255 if dtype == torch.uint8 else 1
        assert psnr(result.permute(1, 2, 0) / scale, expected / 255) > 50
        batch = model(torch.stack((x, x.flip(-1))))
        assert batch.shape == (2, *x.shape)
        torch.testing.assert_close(batch[0], result)

    def test_the_input_is_not_changed(self, model: Deblurrer, pixels: np.ndarray) -> None:
        before = pixels.copy()
        model(pixels)
        model.analyse(pixels)
        np.testing.assert_array_equal(pixels, before)

    @pytest.mark.parametrize(
        "wrong",
        [
            np.zeros((4, 4, 5), np.uint8),
            np.zeros((0, 4, 3), np.uint8),
            np.zeros((2, 2, 4, 4, 3), np.uint8),
            np.zeros((0, 4, 4, 3), np.uint8),
            torch.zeros(0, 3, 8, 8),
            np.zeros((4, 4, 3), np.int32),
            np.zeros((4, 4, 3), bool),
            np.full((4, 4, 3), np.nan),
            np.full((4, 4, 3), np.inf, np.float32),
            np.full((4, 4, 3), 200.0),
            torch.zeros(4, 4),
            torch.zeros(4, 8, 8),
            torch.full((3, 8, 8), torch.nan),
        ],
        ids=repr,
    )
    @pytest.mark.parametrize("method", ["__call__", "analyse"])
    def test_invalid_arrays_are_refused_in_one_line(self, model: Deblurrer, wrong: Any, method: str) -> None:
        with pytest.raises(ArgumentError, match=r"^image[=:]") as error:
            getattr(model, method)(wrong)
        assert "\n" not in str(error.value)

    @pytest.mark.parametrize("wrong", [b"", b"not a photograph", "no/such/file.jpg"])
    def test_invalid_photos_are_refused_in_one_line(self, model: Deblurrer, wrong: Any) -> None:
        with pytest.raises(PhotoError) as error:
            model(wrong)
        assert "\n" not in str(error.value)


@pytest.mark.parametrize("wrong", [None, 3, 2.5, object(), {1: 2}.values, [[1, 2]]], ids=lambda x: type(x).__name__)
def test_other_kinds_are_refused_in_one_line(model: Deblurrer, wrong: Any) -> None:
    with pytest.raises(TypeError, match="is not a kind of image; give a path, bytes") as error:
        list(model(wrong))
    assert "\n" not in str(error.value)


def test_a_missing_file_is_an_error_of_both_kinds(model: Deblurrer) -> None:
    for kind in (PhotoError, FileNotFoundError):
        with pytest.raises(kind, match=r"^no/such/file\.jpg: no such file$"):
            model("no/such/file.jpg")


class TestIterables:
    def test_a_list_of_arrays_is_not_an_array(self, model: Deblurrer, pixels: np.ndarray) -> None:
        images = [pixels[:40, :50], pixels[40:80, :50]]
        results = model(images)
        assert isinstance(results, Iterator)
        for image, result in zip(images, results, strict=True):
            np.testing.assert_array_equal(result, model(image))

    def test_kinds_and_sizes_may_differ(self, model: Deblurrer, pixels: np.ndarray) -> None:
        images = (pixels[:40, :50], Photo(pixels[:20, :20]), torch.from_numpy(pixels[:30, :30]).permute(2, 0, 1))
        results: list[Any] = list(model(images))
        assert [type(result) for result in results] == [np.ndarray, Photo, torch.Tensor]
        np.testing.assert_array_equal(results[1].pixels, model(pixels[:20, :20]))

    def test_images_are_restored_when_they_are_asked_for(self, model: Deblurrer, pixels: np.ndarray) -> None:
        taken = []

        def source() -> Iterator[np.ndarray]:
            for n in range(3):
                taken.append(n)
                yield pixels[: 20 + n, :20]

        results = model(source())
        assert taken == []
        assert next(results).shape == (20, 20, 3) and taken == [0]
        assert [len(result) for result in results] == [21, 22] and taken == [0, 1, 2]

    def test_a_list_of_paths_is_not_a_path(self, model: Deblurrer, pixels: np.ndarray, tmp_path: Path) -> None:
        write_photo(Photo(pixels[:32, :32]), tmp_path / "a.png")
        results = list(model([tmp_path / "a.png", str(tmp_path / "a.png")]))
        assert len(results) == 2 and all(isinstance(result, Photo) for result in results)

    def test_an_error_comes_in_its_place(self, model: Deblurrer, pixels: np.ndarray) -> None:
        results: Iterator[Any] = model([pixels[:20, :20], None])
        next(results)
        with pytest.raises(TypeError, match="NoneType is not a kind of image"):
            next(results)


@pytest.mark.parametrize("size", [(1, 1), (1, 500), (333, 7), (47, 49), (129, 16)])
def test_odd_sizes(model: Deblurrer, size: tuple[int, int]) -> None:
    x = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    assert model(x).shape == x.shape
