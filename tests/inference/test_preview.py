"""Previews: the same kind of image, smaller, with what the selection means in the photo itself."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from fdikp import Deblurrer, Photo, read_photo
from fdikp.errors import ArgumentError
from fdikp.imaging import encode_photo
from fdikp.imaging.resize import shrunk
from fdikp.network import FDIKP, Stage


def size(image: Any) -> tuple[int, int]:
    """Height and width."""
    if isinstance(image, Photo):
        return image.height, image.width
    if isinstance(image, Tensor):
        return int(image.shape[-2]), int(image.shape[-1])
    if isinstance(image, np.ndarray):
        return image.shape[:2]
    if isinstance(image, bytes):
        return size(read_photo(image))
    return image.height, image.width


def kinds(pixels: np.ndarray, folder: Path) -> dict[str, Any]:
    path = folder / "photo.png"
    Image.fromarray(pixels).save(path)
    alpha = np.full(pixels.shape[:2], 200, np.uint8)
    return {
        "uint8": pixels,
        "uint16": pixels.astype(np.uint16) * 257,
        "float32": pixels.astype(np.float32) / 255,
        "float16": (pixels / 255).astype(np.float16),
        "grey": pixels[..., 0],
        "rgba": np.concatenate((pixels, alpha[..., None]), axis=-1),
        "tensor": torch.from_numpy(pixels).permute(2, 0, 1),
        "tensor bfloat16": torch.from_numpy(pixels).permute(2, 0, 1).bfloat16() / 255,
        "pil": Image.fromarray(pixels),
        "pil palette": Image.fromarray(pixels).convert("P"),
        "photo": Photo(pixels, alpha),
        "path": path,
        "file": io.BytesIO(path.read_bytes()),
        "bytes": path.read_bytes(),
    }


@pytest.mark.parametrize(
    "kind",
    [
        "uint8", "uint16", "float32", "float16", "grey", "rgba", "tensor", "tensor bfloat16", "pil", "pil palette",
        "photo", "path", "file", "bytes",
    ],
)  # fmt: skip
def test_it_is_the_same_kind_and_smaller(model: Deblurrer, pixels: np.ndarray, tmp_path: Path, kind: str) -> None:
    image = kinds(pixels, tmp_path)[kind]
    small = model.preview(image, 97)
    expected_type = Photo if kind in ("path", "file") else type(image)
    assert isinstance(small, expected_type)
    assert size(small) == (67, 97)
    for part in ("dtype", "device"):
        assert getattr(small, part, None) == getattr(image, part, None)
    if kind == "rgba":
        assert (small[..., 3] == 200).all()
    if kind == "photo":
        assert (small.alpha == 200).all()


def test_it_is_the_restoration_of_the_shrunk_photo(model: Deblurrer, pixels: np.ndarray) -> None:
    reference = np.asarray(Image.fromarray(pixels).resize((97, 67), Image.Resampling.BICUBIC))
    small = shrunk(Photo(pixels), 97)
    assert np.abs(small.pixels.astype(int) - reference).mean() < 2
    np.testing.assert_array_equal(model.preview(pixels, 97), model(small.pixels))
    np.testing.assert_array_equal(model.preview(Photo(pixels), 97).pixels, model(small.pixels))
    assert not np.array_equal(model(small.pixels), small.pixels)


@pytest.mark.parametrize("long_side", [291, 292, 1024])
def test_small_images_are_not_enlarged(model: Deblurrer, pixels: np.ndarray, long_side: int) -> None:
    np.testing.assert_array_equal(model.preview(pixels, long_side), model(pixels))


def test_a_batch(model: Deblurrer, pixels: np.ndarray) -> None:
    batch = np.stack([pixels[:120, :160], pixels[80:200, :160]])
    small = model.preview(batch, 80)
    assert small.shape == (2, 60, 80, 3)
    np.testing.assert_array_equal(small[1], model.preview(batch[1], 80))
    tensors = torch.from_numpy(batch).permute(0, 3, 1, 2)
    np.testing.assert_array_equal(model.preview(tensors, 80).permute(0, 2, 3, 1), small)


def test_the_network_computes_the_pixels_of_the_smaller_image(model: Deblurrer, pixels: np.ndarray) -> None:
    computed: list[int] = []

    class Counting(FDIKP):
        def padded_stages(self, x: Tensor) -> list[Stage]:
            computed.append(x.shape[-2] * x.shape[-1])
            return super().padded_stages(x)

    network = Counting(model.config).eval().requires_grad_(False)
    network.load_state_dict(model.network.state_dict())
    counting = Deblurrer(network, model.descriptor, device=model.device, precision=torch.float32, tile=128)
    counting.preview(pixels, 96)
    assert computed == [80 * 96]  # 66 × 96 pixels, padded to multiples of 16


def test_regions_and_limits_are_those_of_the_photo(model: Deblurrer, pixels: np.ndarray) -> None:
    small = shrunk(Photo(pixels), 97).pixels
    scale = 97 / 291
    mask = np.zeros(pixels.shape[:2], bool)
    mask[:150] = True
    preview = model.preview(pixels, 97, mask=mask, regions=[(60, 30, 90, 120)], min_blur=0.9)
    region = tuple(value * scale for value in (60, 30, 90, 120))
    np.testing.assert_array_equal(preview, model(small, mask=mask, regions=[region], min_blur=0.9 * scale))
    assert not np.array_equal(preview, model(small, mask=mask, regions=[region], min_blur=0.9))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"regions": ["300,0,9,9"]}, r"^region='300,0,9,9': lies outside the image of 291 × 200 pixels$"),
        ({"mask": np.ones((50, 50))}, r"^mask='50 × 50 pixels': has another aspect than the image of 291 × 200 pixels"),
    ],
)
def test_errors_state_the_size_of_the_photo(
    model: Deblurrer, pixels: np.ndarray, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ArgumentError, match=message):
        model.preview(Photo(pixels), 97, **options)


def test_metadata_fits_the_smaller_photo(model: Deblurrer, pixels: np.ndarray) -> None:
    exif = Image.Exif()
    exif[0x010F] = "maker"
    exif.get_ifd(0x8769).update({0xA002: pixels.shape[1], 0xA003: pixels.shape[0]})
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "jpeg", exif=exif, dpi=(300, 300))
    written = Image.open(io.BytesIO(model.preview(buffer.getvalue(), 97)))
    assert (written.format, written.size) == ("JPEG", (97, 67))
    assert written.getexif()[0x010F] == "maker"
    inner = written.getexif().get_ifd(0x8769)
    assert (inner[0xA002], inner[0xA003]) == (97, 67)


@pytest.mark.parametrize("long_side", [0, -5, 2.5, "100", None, True])
def test_other_long_sides_are_refused(model: Deblurrer, pixels: np.ndarray, long_side: Any) -> None:
    with pytest.raises(ArgumentError, match=r"^long_side=.*: must be a whole number of pixels, at least 1$"):
        model.preview(pixels, long_side)


@pytest.mark.parametrize(
    ("image", "error", "message"),
    [
        (3, TypeError, "int is not a kind of image"),
        (["a.jpg"], TypeError, "list is not a kind of image"),
        ("missing.jpg", FileNotFoundError, "no such file"),
        (np.zeros((40, 60, 3), int), ArgumentError, "values of this type are not an image"),
        (np.full((40, 60, 3), 255.0), ArgumentError, "its values run from 255"),
        (np.zeros((40, 60, 7), np.uint8), ArgumentError, "not an image"),
        (np.zeros(40, np.uint8), ArgumentError, "not an image"),
    ],
)
def test_what_is_no_image_is_refused(model: Deblurrer, image: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        model.preview(image, 30)


def test_floats_keep_their_range(pixels: np.ndarray) -> None:
    edges = np.zeros((40, 60, 3), np.float32)
    edges[:, 30:] = 1
    small = shrunk(Photo(edges), 23).pixels
    assert small.dtype == np.float32 and small.min() >= 0 and small.max() <= 1
    assert encode_photo(Photo(edges), "tiff")
