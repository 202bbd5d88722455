"""What goes in comes out: every format, depth and kind of channels, against Pillow, tifffile and a plain PNG coder."""

import io

import numpy as np
import pytest
import pyvips
import tifffile
from PIL import Image

from fdikp.imaging import Metadata, Photo, encode_photo, output_format, read_photo, write_photo

LOSSLESS = [
    *(("png", dtype, kind) for dtype in (np.uint8, np.uint16) for kind in ("L", "LA", "RGB", "RGBA")),
    *(("tiff", dtype, kind) for dtype in (np.uint8, np.uint16, np.float32) for kind in ("L", "LA", "RGB", "RGBA")),
    *(("webp", np.uint8, kind) for kind in ("RGB", "RGBA")),
]


def bands(photo):
    """[H, W, B] of a Photo, alpha last."""
    return photo.pixels if photo.alpha is None else np.dstack([photo.pixels, photo.alpha])


@pytest.mark.parametrize(("format", "dtype", "kind"), LOSSLESS)
def test_lossless_formats_keep_every_sample(format, dtype, kind, make_image, encode, decode, tmp_path):
    pixels = make_image(dtype, kind)
    options = {"lossless": True, "exact": True} if format == "webp" else {}
    path = tmp_path / f"in.{format}"
    path.write_bytes(encode(format, pixels, **options))
    photo = read_photo(path)
    assert photo.format == format
    assert photo.notes == ()
    assert photo.pixels.shape[2] == (3 if "RGB" in kind else 1)
    assert photo.pixels.flags.c_contiguous and photo.pixels.flags.writeable
    assert photo.pixels.dtype == dtype
    np.testing.assert_array_equal(bands(photo), pixels)
    assert write_photo(photo, tmp_path / f"out.{format}") == ()
    result = decode(format, (tmp_path / f"out.{format}").read_bytes())
    assert result.dtype.newbyteorder("=") == dtype
    np.testing.assert_array_equal(result, pixels)


@pytest.mark.parametrize("source", ["png", "tiff"])
@pytest.mark.parametrize("target", ["png", "tiff"])
@pytest.mark.parametrize("kind", ["L", "RGBA"])
def test_sixteen_bits_survive_between_formats(source, target, kind, make_image, encode, decode):
    pixels = make_image(np.uint16, kind)
    np.testing.assert_array_equal(decode(target, encode_photo(read_photo(encode(source, pixels)), target)), pixels)


@pytest.mark.parametrize("kind", ["L", "RGB"])
@pytest.mark.parametrize("format", ["jpeg", "webp", "avif"])
def test_lossy_formats_stay_close(format, kind, make_image, encode, decode):
    pixels = make_image(np.uint8, kind)
    photo = read_photo(encode(format, pixels, quality=95))
    original = bands(photo).astype(float)
    assert np.abs(original - pixels).mean() < 5
    result = decode(format, encode_photo(photo, format)).astype(float)
    assert np.abs(result - original).mean() < 3


def test_avif_keeps_alpha_and_ten_bits(make_image, encode):
    photo = read_photo(encode("avif", make_image(np.uint8, "RGBA"), quality=95))
    again = read_photo(encode_photo(photo, "avif"))
    assert np.abs(again.alpha.astype(int) - photo.alpha).mean() < 2
    deep = Photo(make_image(np.uint16, "RGB"))
    for bits, source in ((10, deep.pixels >> 6 << 6), (12, deep.pixels)):
        image = pyvips.Image.new_from_array(source, interpretation="rgb16")
        photo = read_photo(image.heifsave_buffer(compression="av1", bitdepth=bits, lossless=True))
        assert (photo.pixels.dtype, photo.metadata.bits) == (np.uint16, bits)
        data = encode_photo(photo, "avif")
        assert pyvips.Image.new_from_buffer(data, "").get("bits-per-sample") == bits
        assert np.abs(read_photo(data).pixels.astype(int) - photo.pixels).mean() < 1000


@pytest.mark.parametrize("transparent", [False, True])
@pytest.mark.parametrize("colours", [2, 4, 16, 200])
def test_palettes_become_rgb(transparent, colours, make_image):
    image = Image.fromarray(make_image(np.uint8, "RGB")).quantize(colours)
    file = io.BytesIO()
    image.save(file, "png", **({"transparency": 1} if transparent else {}))
    photo = read_photo(file.getvalue())
    expected = np.asarray(Image.open(file).convert("RGBA"))
    np.testing.assert_array_equal(photo.pixels, expected[..., :3])
    if transparent:
        np.testing.assert_array_equal(photo.alpha, expected[..., 3])
    else:
        assert photo.alpha is None


def test_grey_png_of_few_bits_and_bilevel_tiff(make_image):
    bilevel = Image.fromarray(make_image(np.uint8, "L")[..., 0]).convert("1")
    for format, options in (("png", {}), ("tiff", {}), ("tiff", {"compression": "group4"})):
        file = io.BytesIO()
        bilevel.save(file, format, **options)
        photo = read_photo(file.getvalue())
        np.testing.assert_array_equal(photo.pixels[..., 0], np.asarray(bilevel) * 255)
        assert photo.metadata.bits == 1


@pytest.mark.parametrize("height_width", [(1, 1), (1, 5000), (5000, 1), (7, 333)])
@pytest.mark.parametrize("format", ["jpeg", "png", "tiff", "webp", "avif"])
def test_odd_sizes(format, height_width, decode):
    pixels = np.random.default_rng(1).integers(0, 256, (*height_width, 3), dtype=np.uint8)
    data = encode_photo(Photo(pixels), format)
    assert read_photo(data).pixels.shape == pixels.shape
    result = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
    assert result.shape == pixels.shape
    if format in ("png", "tiff"):
        np.testing.assert_array_equal(result, pixels)


@pytest.mark.parametrize("bytes_like", [bytes, bytearray, memoryview])
def test_bytes_and_paths_read_the_same(bytes_like, make_image, encode, tmp_path):
    for format in ("jpeg", "png", "tiff", "webp", "avif"):
        data = encode(format, make_image(np.uint8, "RGB"))
        (tmp_path / "file").write_bytes(data)
        from_path, from_bytes = read_photo(str(tmp_path / "file")), read_photo(bytes_like(data))
        assert from_path.format == from_bytes.format == format
        np.testing.assert_array_equal(from_path.pixels, from_bytes.pixels)
        assert from_path.metadata == from_bytes.metadata


def test_views_that_are_not_contiguous_are_written_right(make_image, encode, decode):
    pixels = make_image(np.uint16, "RGBA")
    photo = Photo(pixels[::-1, ::2, 2::-1], pixels[::-1, ::2, 3])
    for format in ("png", "tiff"):
        result = decode(format, encode_photo(photo, format))
        np.testing.assert_array_equal(result, pixels[::-1, ::2][..., [2, 1, 0, 3]])


@pytest.mark.parametrize(
    ("format", "depth"), [("jpeg", 8), ("webp", 8), ("png", 16), ("avif", 12)], ids=lambda each: str(each)
)
def test_what_a_format_cannot_hold_is_reported(format, depth, make_image, tmp_path):
    deep = make_image(np.uint16 if depth < 16 else np.float32, "RGB")
    (note,) = write_photo(Photo(deep), tmp_path / "out", format=format)
    assert f"reduced to {depth} bit" in note


def test_reducing_depth_rounds(decode):
    ramp = np.arange(65536, dtype=np.uint16).reshape(256, 256, 1)
    reduced = decode("jpeg", encode_photo(Photo(ramp), "jpeg", quality=100))
    exact = ramp / 257
    assert np.abs(reduced - exact).max() < 2.5
    lossless = Photo(ramp, format="webp", metadata=Metadata(lossless=True))
    expected = np.rint(exact).astype(np.uint8).repeat(3, 2)
    np.testing.assert_array_equal(decode("webp", encode_photo(lossless, "webp")), expected)
    floats = (ramp / 65535).astype(np.float32)
    np.testing.assert_array_equal(decode("png", encode_photo(Photo(floats), "png")), ramp)
    beyond = np.float32([[[-0.5], [1.5]]])
    np.testing.assert_array_equal(decode("png", encode_photo(Photo(beyond), "png")), [[[0], [65535]]])


def test_transparency_is_laid_over_white_for_jpeg(decode):
    pixels = np.full((16, 16, 3), 40, np.uint8)
    alpha = np.repeat(np.uint8([0, 255]), 8)[np.newaxis].repeat(16, 0)
    flat = decode("jpeg", encode_photo(Photo(pixels, np.ascontiguousarray(alpha)), "jpeg"))
    assert flat[:, :6].min() > 250
    assert np.abs(flat[:, 10:].astype(int) - 40).max() < 5


@pytest.mark.parametrize(
    ("format", "dtype", "alpha", "expected"),
    [
        *((name, np.uint8, False, (name, suffix)) for name, suffix in (("jpeg", ".jpg"), ("png", ".png"))),
        *((name, np.uint8, True, (name, suffix)) for name, suffix in (("webp", ".webp"), ("avif", ".avif"))),
        ("tiff", np.float32, False, ("tiff", ".tif")),
        ("raw", np.uint16, False, ("tiff", ".tif")),
        ("heic", np.uint16, False, ("tiff", ".tif")),
        ("heic", np.uint8, False, ("jpeg", ".jpg")),
        ("heic", np.uint8, True, ("png", ".png")),
        ("gif", np.uint8, False, ("png", ".png")),
    ],
)
def test_output_format(format, dtype, alpha, expected):
    pixels = np.zeros((2, 3, 3), dtype)
    assert output_format(Photo(pixels, pixels[..., 0] if alpha else None, format)) == expected


@pytest.mark.parametrize("compression", [None, "lzw", "deflate", "packbits"])
def test_tiff_keeps_a_lossless_compression(compression, make_image, decode):
    pixels = make_image(np.uint8, "RGB")
    codes = {None: 1, "lzw": 5, "deflate": 8, "packbits": 32773}
    pillow = {"lzw": "tiff_lzw", "deflate": "tiff_adobe_deflate"}.get(compression, compression)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "tiff", compression=pillow)
    data = encode_photo(read_photo(file.getvalue()), "tiff")
    with tifffile.TiffFile(io.BytesIO(data)) as result:
        assert result.pages[0].compression == codes[compression]
        assert result.pages[0].predictor == (2 if compression in ("lzw", "deflate") else 1)
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(data))), pixels)


def test_tiff_of_lossy_compression_becomes_deflate_and_says_so(make_image):
    file = io.BytesIO()
    Image.fromarray(make_image(np.uint8, "RGB")).save(file, "tiff", compression="jpeg")
    photo = read_photo(file.getvalue())
    assert "lossy" in photo.notes[0]
    with tifffile.TiffFile(io.BytesIO(encode_photo(photo, "tiff"))) as result:
        assert result.pages[0].compression == 8


def test_webp_stays_lossless_only_if_it_was(make_image, encode):
    pixels = make_image(np.uint8, "RGB")
    for lossless in (True, False):
        for options in ({}, {"icc_profile": b""}):
            photo = read_photo(encode("webp", pixels, lossless=lossless, **options))
            assert photo.metadata.lossless == lossless
            assert (b"VP8L" in encode_photo(photo, "webp")[:64]) == lossless
            assert b"VP8L" not in encode_photo(photo, "webp", quality=80)[:64]
