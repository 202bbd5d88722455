"""JPEG XL files, made by imagecodecs, and by pylibjxl where they need a profile or metadata."""

import io
import sys

import numpy as np
import pytest
from PIL import Image

from fdikp.errors import PhotoError
from fdikp.imaging import encode_photo, output_format, read_photo, write_photo

pylibjxl = pytest.importorskip("pylibjxl", reason="needs the jxl extra")
imagecodecs = pytest.importorskip("imagecodecs", reason="needs the jxl extra")


def make_jxl(pixels: np.ndarray, **options) -> bytes:
    """Encode [H, W, B] without loss."""
    return imagecodecs.jpegxl_encode(pixels.squeeze(), **{"lossless": True, **options})


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float16, np.float32])
@pytest.mark.parametrize("kind", ["L", "LA", "RGB", "RGBA"])
def test_depth_and_channels(dtype, kind, make_image):
    pixels = make_image(dtype, kind)
    photo = read_photo(make_jxl(pixels))
    colours = 3 if "RGB" in kind else 1
    assert (photo.format, photo.notes) == ("jxl", ())
    assert photo.metadata.bits == pixels.itemsize * 8
    np.testing.assert_array_equal(photo.pixels, pixels[..., :colours].astype(photo.pixels.dtype))
    if "A" in kind:
        np.testing.assert_array_equal(photo.alpha, pixels[..., colours].astype(photo.pixels.dtype))
    else:
        assert photo.alpha is None
    assert output_format(photo)[0] == ("png" if dtype == np.uint8 else "tiff")


@pytest.mark.parametrize("bits", [10, 12, 14])
def test_depths_between_8_and_16_are_scaled(bits):
    values = np.arange(2**bits, dtype=np.uint16).reshape(32, -1, 1)
    photo = read_photo(make_jxl(values, bitspersample=bits))
    assert np.abs(photo.pixels - values / (2**bits - 1) * 65535.0).max() <= 0.5
    assert photo.metadata.bits == bits


@pytest.mark.parametrize("top", [4.0, 1000.0])
def test_float_range_is_mapped_and_mapped_back(top, make_image, decode):
    pixels = make_image(np.float32, "RGB") * np.float32(top) - 1
    photo = read_photo(make_jxl(pixels))
    assert photo.pixels.min() >= 0 and photo.pixels.max() <= 1
    assert "mapped" in photo.notes[0]
    np.testing.assert_allclose(decode("tiff", encode_photo(photo, "tiff")), pixels, atol=top * 1e-6)


@pytest.mark.parametrize("lossless", [False, True])
def test_profile_and_metadata(lossless, make_image, icc, exif_block, xmp, tmp_path):
    pixels = make_image(np.uint8, "RGB")
    height, width = pixels.shape[:2]
    block = exif_block(6, (width, height))
    data = pylibjxl.encode(pixels, lossless=lossless, distance=0 if lossless else 0.5, icc=icc, exif=block, xmp=xmp(6))
    photo = read_photo(data)
    assert photo.metadata.icc == icc
    assert photo.metadata.exif == exif_block(1, (width, height), upright=True)
    assert photo.metadata.xmp == xmp(1)
    assert np.abs(photo.pixels.astype(int) - pixels).mean() < (1e-9 if lossless else 6)
    write_photo(photo, tmp_path / "a.png")
    assert read_photo(tmp_path / "a.png").metadata.icc == icc


def test_both_decoders_agree_on_colours(make_image):
    """The profile comes from one package and samples of more than 8 bits from the other."""
    pixels = make_image(np.uint16, "RGB")
    data = make_jxl(pixels, lossless=False, distance=0.1)
    eight = pylibjxl.decode(data)
    assert np.abs(read_photo(data).pixels / 257 - eight).max() < 1
    floats = read_photo(make_jxl(make_image(np.float32, "RGB"), lossless=False, distance=0.1))
    assert np.abs(floats.pixels * 255 - eight).mean() < 2


def test_a_jpeg_inside_is_read_as_the_jpeg(make_image, icc, exif_block):
    image = Image.fromarray(make_image(np.uint8, "RGB"))
    block = exif_block(6, image.size)
    file = io.BytesIO()
    image.save(file, "jpeg", quality=83, subsampling="4:2:0", icc_profile=icc, exif=b"Exif\0\0" + block)
    expected = read_photo(file.getvalue())
    photo = read_photo(pylibjxl.jpeg_to_jxl(file.getvalue()))
    assert photo.format == "jpeg" and photo.notes == expected.notes
    np.testing.assert_array_equal(photo.pixels, expected.pixels)
    assert photo.metadata == expected.metadata
    assert photo.metadata.jpeg.quality == 83
    assert output_format(photo) == ("jpeg", ".jpg")
    assert encode_photo(photo, "jpeg") == encode_photo(expected, "jpeg")


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_the_first_frame_of_an_animation(dtype, make_image):
    first = make_image(dtype, "RGB")
    photo = read_photo(make_jxl(np.stack([first, first[::-1]])))
    np.testing.assert_array_equal(photo.pixels, first)
    assert photo.notes == ("First frame of an animation; the others are left out.",)


@pytest.mark.parametrize("kind", ["pixels", "jpeg"])
def test_declared_sizes_are_checked_before_decoding(kind, make_image, monkeypatch):
    pixels = make_image(np.uint8, "RGB")
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "jpeg")
    data = make_jxl(pixels) if kind == "pixels" else pylibjxl.jpeg_to_jxl(file.getvalue())
    for name in ("decode", "jxl_to_jpeg"):
        monkeypatch.delattr(pylibjxl, name)
    with pytest.raises(PhotoError, match="more than the limit"):
        read_photo(data, max_pixels=pixels.shape[0] * pixels.shape[1] - 1)


def test_pillow_does_not_learn_the_format(make_image):
    before = (dict(Image.OPEN), dict(Image.SAVE), dict(Image.EXTENSION))
    read_photo(make_jxl(make_image(np.uint16, "RGB")))
    assert (dict(Image.OPEN), dict(Image.SAVE), dict(Image.EXTENSION)) == before
    assert "JXL" not in before[0]


@pytest.mark.parametrize("package", ["pylibjxl", "imagecodecs"])
def test_without_the_extra_the_error_says_what_to_install(package, make_image, monkeypatch):
    data = make_jxl(make_image(np.uint16, "RGB"))
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(PhotoError, match=f"JPEG XL needs {package}; install the jxl extra") as caught:
        read_photo(data)
    assert caught.value.code == "photo_unsupported"
