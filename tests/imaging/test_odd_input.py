"""Photos that are not 8-bit RGB in one page under a tidy name."""

import io
import struct
import sys

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms

from fdikp.errors import PhotoError
from fdikp.imaging import FORMATS, SUFFIXES, encode_photo, formats, is_photo_path, read_photo, write_photo


@pytest.mark.parametrize(
    "name",
    ["photo[1].jpg", "a[page=2].png", "-x.jpg", "with space.jpg", "é 日本.jpg", "none", ".jpg", "wrong.png", "a%d.tif"]
    + (["\udcff.jpg"] if sys.platform == "linux" else []),
)
def test_names_are_literal_and_content_decides(name, make_image, encode, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / name).write_bytes(encode("jpeg", make_image(np.uint8, "RGB")))
    photo = read_photo(name)
    assert photo.format == "jpeg"
    write_photo(photo, f"out {name}", format="png")
    assert sorted(each.name for each in tmp_path.iterdir()) == sorted([name, f"out {name}"])
    assert read_photo(tmp_path / f"out {name}").format == "png"


def test_suffixes():
    assert {".jpg", ".jpeg", ".png", ".tif", ".tiff", ".webp", ".avif", ".bmp", ".gif"} <= SUFFIXES
    for name in ("a.JPG", "b/c.Tiff", "x.y.webp"):
        assert is_photo_path(name)
    for name in ("jpg", ".jpg", "a.svg", "a.txt", "a.jpg.part", "a"):
        assert not is_photo_path(name)


@pytest.mark.parametrize(
    ("extra", "package", "name"),
    [("raw", "rawpy", "a.CR2"), ("heic", "pillow_heif", "a.heic"), ("jxl", "pylibjxl", "a.jxl")],
)
def test_names_count_as_photos_only_if_their_extra_is_installed(extra, package, name, monkeypatch):
    assert FORMATS[extra].extra == extra and package in FORMATS[extra].packages
    monkeypatch.setattr(formats, "readable", formats.readable.__wrapped__)  # without its cache
    monkeypatch.setattr(formats, "find_spec", lambda _: object())
    assert is_photo_path(name)
    monkeypatch.setattr(formats, "find_spec", lambda module: None if module == package else object())
    assert not is_photo_path(name)
    assert is_photo_path("a.bmp")


@pytest.mark.parametrize("format", ["gif", "webp", "png", "tiff"])
def test_first_of_several(format, make_image):
    first = Image.fromarray(make_image(np.uint8, "RGB")).quantize(32).convert("RGB")
    others = [first.rotate(90), first.rotate(180)]
    file = io.BytesIO()
    options = {"lossless": True} if format == "webp" else {}
    first.save(file, format, save_all=True, append_images=others, **options)
    photo = read_photo(file.getvalue())
    np.testing.assert_array_equal(photo.pixels, np.asarray(first))
    assert len(photo.notes) == 1 and photo.notes[0].startswith("First")


def test_further_images_of_a_jpeg_are_reported_as_left_out(make_image):
    image = Image.fromarray(make_image(np.uint8, "RGB"))
    file = io.BytesIO()
    image.save(file, "MPO", save_all=True, append_images=[image])
    assert "gain map" in read_photo(file.getvalue()).notes[0]


@pytest.mark.parametrize("format", ["jpeg", "tiff"])
def test_cmyk_becomes_srgb(format, make_image):
    # a smooth image: the colours that CMYK cannot show are not in it
    soft = Image.fromarray((make_image(np.uint8, "RGB") // 3 + 90).astype(np.uint8))
    file = io.BytesIO()
    soft.convert("CMYK").save(file, format, **({"quality": 95} if format == "jpeg" else {}))
    photo = read_photo(file.getvalue())
    assert photo.notes == ("CMYK is converted to sRGB.",)
    assert (photo.pixels.shape[2], photo.alpha) == (3, None)
    profile = ImageCms.ImageCmsProfile(io.BytesIO(photo.metadata.icc))
    assert "RGB" in ImageCms.getProfileDescription(profile)
    # Pillow's conversion is naive; the fallback profile's is not: they agree in what is lighter
    ours, theirs = photo.pixels.mean(-1).ravel(), np.asarray(soft).mean(-1).ravel()
    assert np.corrcoef(ours, theirs)[0, 1] > 0.9
    data = encode_photo(photo, format)
    assert Image.open(io.BytesIO(data)).mode == "RGB"
    assert Image.open(io.BytesIO(data)).info["icc_profile"] == photo.metadata.icc


def test_cmyk_sixteen_bit_and_with_alpha(make_image):
    inks = make_image(np.uint16, "RGBA")
    file = io.BytesIO()
    tifffile.imwrite(file, inks, photometric="separated")
    assert read_photo(file.getvalue()).pixels.dtype == np.uint16
    file = io.BytesIO()
    alpha = inks[..., :1]
    tifffile.imwrite(file, np.dstack([inks, alpha]), photometric="separated", extrasamples=["unassalpha"])
    photo = read_photo(file.getvalue())
    assert photo.pixels.shape[2] == 3
    np.testing.assert_array_equal(photo.alpha, alpha[..., 0])


def test_lab_becomes_srgb(make_image):
    file = io.BytesIO()
    lab = np.zeros((8, 9, 3), np.uint16)
    lab[..., 0] = 32768  # L = 50, a = b = 0
    tifffile.imwrite(file, lab, photometric="cielab")
    photo = read_photo(file.getvalue())
    assert photo.notes == ("Lab is converted to sRGB.",)
    assert np.abs(photo.pixels / 257 - 119).max() < 1.5  # L = 50 is grey 119


@pytest.mark.parametrize("kind", ["L", "RGB", "RGBA"])
def test_float_tiff_is_kept_as_it_is(kind, make_image, encode, decode):
    for dtype in (np.float16, np.float32):
        pixels = make_image(dtype, kind)
        photo = read_photo(encode("tiff", pixels))
        assert photo.notes == ()
        np.testing.assert_array_equal(photo.pixels, pixels[..., : photo.pixels.shape[2]])
        np.testing.assert_array_equal(decode("tiff", encode_photo(photo, "tiff")), pixels)


@pytest.mark.parametrize("top", [1.5, 255.0, 65535.0])
def test_float_range_is_mapped_and_mapped_back_exactly(top, make_image, encode, decode):
    pixels = make_image(np.float32, "RGB") * np.float32(top)
    photo = read_photo(encode("tiff", pixels))
    assert 0.49 < photo.pixels.max() <= 1 and photo.pixels.min() >= 0
    assert "mapped" in photo.notes[0]
    np.testing.assert_array_equal(decode("tiff", encode_photo(photo, "tiff")), pixels)


def test_negative_float_range_is_mapped_and_mapped_back(make_image, encode, decode):
    pixels = make_image(np.float32, "RGB") * 3 - 1
    photo = read_photo(encode("tiff", pixels))
    assert photo.pixels.min() >= 0 and photo.pixels.max() <= 1
    np.testing.assert_allclose(decode("tiff", encode_photo(photo, "tiff")), pixels, atol=1e-6)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e38])
@pytest.mark.parametrize("channel", [0, 3])
def test_float_that_is_no_number_is_refused(value, channel, make_image, encode):
    pixels = make_image(np.float32, "RGBA")
    pixels[5, 6, channel] = value
    if channel == 3 and value == 1e38:
        return
    with pytest.raises(PhotoError, match=r"NaN|1e30"):
        read_photo(encode("tiff", pixels))


def test_integers_of_32_bits_are_reduced_and_64_bit_floats_refused(make_image, encode):
    pixels = make_image(np.uint16, "RGB")
    photo = read_photo(encode("tiff", pixels.astype(np.uint32) << 16))
    np.testing.assert_array_equal(photo.pixels, pixels)
    assert "reduced" in photo.notes[0]
    with pytest.raises(PhotoError, match="64-bit samples"):
        read_photo(encode("tiff", make_image(np.float64, "RGB")))
    with pytest.raises(PhotoError, match="type short"):
        read_photo(encode("tiff", pixels.astype(np.int16)))


@pytest.mark.parametrize("from_path", [False, True])
def test_premultiplied_alpha_is_untouched(from_path, make_image, encode, decode, tmp_path):
    pixels = make_image(np.uint16, "RGBA")
    pixels[..., :3] = pixels[..., :3].astype(np.uint32) * pixels[..., 3:] // 65535
    data = encode("tiff", pixels, extrasamples=["assocalpha"])
    (tmp_path / "a.tif").write_bytes(data)
    photo = read_photo(tmp_path / "a.tif" if from_path else data)
    np.testing.assert_array_equal(np.dstack([photo.pixels, photo.alpha]), pixels)
    result = encode_photo(photo, "tiff")
    np.testing.assert_array_equal(decode("tiff", result), pixels)
    assert tifffile.TiffFile(io.BytesIO(result)).pages[0].tags["ExtraSamples"].value == (1,)
    assert (tmp_path / "a.tif").read_bytes() == data
    straight = decode("png", encode_photo(photo, "png")).astype(float)
    visible = pixels[..., 3] > 2000
    expected = pixels[..., :3] / np.maximum(pixels[..., 3:], 1) * 65535
    assert np.abs(straight[..., :3] - expected)[visible].max() < 40


def test_tiff_layouts(make_image, encode):
    pixels = make_image(np.uint8, "RGB")
    layouts = [{"tile": (16, 16)}, {"bigtiff": True}, {"byteorder": ">"}, {"rowsperstrip": 1}]
    for layout in layouts:
        np.testing.assert_array_equal(read_photo(encode("tiff", pixels, **layout)).pixels, pixels)
    planes = np.ascontiguousarray(np.moveaxis(pixels, 2, 0))
    file = io.BytesIO()
    tifffile.imwrite(file, planes, photometric="rgb", planarconfig="separate")
    np.testing.assert_array_equal(read_photo(file.getvalue()).pixels, pixels)
    file = io.BytesIO()
    tifffile.imwrite(file, np.ascontiguousarray(pixels[..., 0]), photometric="miniswhite")
    np.testing.assert_array_equal(read_photo(file.getvalue()).pixels[..., 0], 255 - pixels[..., 0])
    five = np.dstack([pixels, pixels[..., :2]])
    photo = read_photo(encode("tiff", five, extrasamples=["unassalpha", "unspecified"]))
    np.testing.assert_array_equal(photo.alpha, five[..., 3])
    assert photo.notes == ("Channels after the first 4 are left out.",)


def harmless_oddities(jpeg):
    """Sound JPEG data that makes libjpeg frown."""
    scan = jpeg.index(b"\xff\xdb")
    yield jpeg[:20] + b"\0\0\0" + jpeg[20:]
    yield jpeg[:scan] + b"stray" + jpeg[scan:]
    yield jpeg[:2] + b"\xff\xff\xff" + jpeg[2:]
    yield jpeg[:-2] + b"\0\0\0\0" + jpeg[-2:]
    yield jpeg.replace(b"JFIF\0\1\1", b"JFIF\0\3\3")
    yield jpeg + b"trailing bytes"
    start = jpeg.index(b"\xff\xda")
    yield jpeg[: start + 11] + b"\0\0\0" + jpeg[start + 14 :]
    yield jpeg[:2] + b"\xff\xee\0\x0eAdobe\0d\0\0\0\0\7" + jpeg[2:]


def test_harmless_oddities_do_not_refuse_a_photo(make_image, encode, png_chunk):
    pixels = make_image(np.uint8, "RGB")
    jpeg = encode("jpeg", pixels)
    expected = read_photo(jpeg).pixels
    for data in harmless_oddities(jpeg):
        np.testing.assert_array_equal(read_photo(data).pixels, expected)
    chunks = [
        png_chunk(b"tEXt", b"a\0b")[:-1] + b"?",
        png_chunk(b"iCCP", b"x\0\0junk"),
        png_chunk(b"gAMA", bytes(4)),
        png_chunk(b"quCk", b"unknown"),
        png_chunk(b"pHYs", b"?"),
        png_chunk(b"zTXt", b"k\0\0abc"),
    ]
    for extra in chunks:
        np.testing.assert_array_equal(read_photo(encode("png", pixels, extra=extra)).pixels, pixels)
    np.testing.assert_array_equal(read_photo(encode("png", pixels) + b"trailing").pixels, pixels)
    tags = [(65000, "s", 0, "private", True), (50838, "I", 1, 3, True)]
    np.testing.assert_array_equal(read_photo(encode("tiff", pixels, extratags=tags)).pixels, pixels)


def make_dng(orientation=1, samples=None):
    """A minimal uncompressed DNG: a Bayer mosaic of a ramp from dark to light."""
    y, x = np.mgrid[:48, :64]
    mosaic = (1000 + x * 200 + y * 50).astype(np.uint16) if samples is None else samples
    matrix = (3.2406, -1.5372, -0.4986, -0.9689, 1.8758, 0.0415, 0.0557, -0.2040, 1.0570)
    file = io.BytesIO()
    tifffile.imwrite(
        file,
        mosaic,
        photometric=32803,
        metadata=None,
        software=False,
        extratags=[
            (271, "s", 0, "Maker", True),
            (272, "s", 0, "Model", True),
            (274, "H", 1, orientation, True),
            (33421, "H", 2, (2, 2), True),
            (33422, "B", 4, bytes([0, 1, 1, 2]), True),
            (50706, "B", 4, bytes([1, 4, 0, 0]), True),
            (50708, "s", 0, "Maker Model", True),
            (50714, "H", 1, 0, True),
            (50717, "H", 1, 16383, True),
            (50721, "2i", 9, [n for value in matrix for n in (int(value * 10000), 10000)], True),
            (50728, "2I", 3, (1, 1, 1, 1, 1, 1), True),
            (50778, "H", 1, 21, True),
        ],
    )
    return file.getvalue()


def test_raw_is_developed_to_sixteen_bit_srgb():
    pytest.importorskip("rawpy")
    photo = read_photo(make_dng())
    assert (photo.format, photo.pixels.shape, photo.pixels.dtype) == ("raw", (48, 64, 3), np.uint16)
    assert "RAW" in photo.notes[0]
    # a neutral ramp through sRGB's curve: (1000 + 20 * 200 + 10 * 50) / 16383 = 0.336 is 0.615
    assert np.abs(photo.pixels[10, 20] / 65535 - 0.615).max() < 0.01
    assert read_photo(make_dng(orientation=6)).pixels.shape == (64, 48, 3)
    for orientation in (1, 3, 6, 8):
        header = read_photo(make_dng(orientation=orientation), header_only=True)
        assert header.pixels.shape == read_photo(make_dng(orientation=orientation)).pixels.shape
        assert (header.pixels.dtype, header.pixels.any(), header.notes) == (np.uint16, False, photo.notes)
    with tifffile.TiffFile(io.BytesIO(encode_photo(photo, "tiff"))) as result:
        assert result.pages[0].tags["Model"].value == "Model"
        np.testing.assert_array_equal(result.asarray(), photo.pixels)
    with pytest.raises(PhotoError, match="max_pixels"):
        read_photo(make_dng(), max_pixels=3000)


def test_raw_without_rawpy_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "rawpy", None)
    for data in (make_dng(), b"FUJIFILMCCD-RAW " + bytes(100), b"II*\0\x10\0\0\0CR\2\0" + bytes(100)):
        with pytest.raises(PhotoError, match="camera RAW needs rawpy; install the raw extra"):
            read_photo(data)


def test_raw_inside_a_sub_directory_is_recognised(make_image, encode):
    """NEF and ARW: the main directory is a small image, the sensor's is below it."""
    data = bytearray(encode("tiff", make_image(np.uint8, "RGB"), extratags=[(65000, "I", 1, 0, True)]))
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        tag_at, value_at = file.pages[0].tags[65000].offset, file.pages[0].tags[65000].valueoffset
    data[tag_at : tag_at + 2] = struct.pack("<H", 330)
    at = len(data) + len(data) % 2
    data[value_at : value_at + 4] = struct.pack("<I", at)
    data += bytes(at - len(data)) + struct.pack("<HHHIII", 1, 262, 3, 1, 32803, 0)
    with pytest.raises(PhotoError, match="RAW data"):
        read_photo(bytes(data))
