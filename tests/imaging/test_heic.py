"""HEIC files, made by pillow-heif's encoder: depth, colours, metadata, orientation, several images, other codecs."""

import io
import struct
import sys

import numpy as np
import pytest
from PIL import Image, ImageCms

from fdikp.errors import PhotoError
from fdikp.imaging import encode_photo, nclx, output_format, read_photo, write_photo

pillow_heif = pytest.importorskip("pillow_heif", reason="needs the heic extra")

P3_SRGB = {"color_primaries": 12, "transfer_characteristics": 13}
BT2020_PQ = {"color_primaries": 9, "transfer_characteristics": 16}
BT2020_HLG = {"color_primaries": 9, "transfer_characteristics": 18}


@pytest.fixture(scope="module", autouse=True)
def _has_encoder():
    if not pillow_heif.libheif_info()["HEIF"]:
        pytest.skip("this pillow-heif has no HEVC encoder")


def make_heic(pixels: np.ndarray, **options) -> bytes:
    """Encode [H, W, B] uint8, or uint16 in 10 bits (`bit_depth=12` for 12), as exactly as HEVC's colours allow."""
    height, width, bands = pixels.shape
    mode = {1: "L", 3: "RGB", 4: "RGBA"}[bands] + (";16" if pixels.dtype == np.uint16 else "")
    file = io.BytesIO()
    options = {"quality": 98, "chroma": 444, **options}
    pillow_heif.encode(mode, (width, height), pixels.tobytes(), file, **options)
    return file.getvalue()


@pytest.mark.parametrize("bits", [8, 10, 12])
@pytest.mark.parametrize("kind", ["L", "RGB", "RGBA"])
def test_depth_and_channels(bits, kind, make_image):
    pixels = make_image(np.uint8 if bits == 8 else np.uint16, kind)
    photo = read_photo(make_heic(pixels, bit_depth=bits))
    assert (photo.format, photo.metadata.bits, photo.notes) == ("heic", bits, ())
    assert photo.pixels.dtype == pixels.dtype
    assert photo.pixels.shape == (*pixels.shape[:2], min(pixels.shape[2], 3))
    error = np.abs(photo.pixels.astype(float) - pixels[..., :3]) / np.iinfo(pixels.dtype).max
    assert error.mean() < 0.01
    assert (photo.alpha is None) == (kind != "RGBA")
    if kind == "RGBA":
        assert np.abs(photo.alpha.astype(float) - pixels[..., 3]).mean() / np.iinfo(pixels.dtype).max < 0.01
    assert output_format(photo)[0] == ("tiff" if bits > 8 else "png" if kind == "RGBA" else "jpeg")


@pytest.mark.parametrize("bits", [10, 12])
def test_black_and_white_are_exact_in_16_bits(bits):
    pixels = np.zeros((64, 64, 3), np.uint16)
    pixels[:, 32:] = 65535
    result = read_photo(make_heic(pixels, bit_depth=bits, quality=-1)).pixels
    np.testing.assert_array_equal(result[:, [0, 63]], pixels[:, [0, 63]])


def test_results_keep_the_depth(make_image, tmp_path):
    photo = read_photo(make_heic(make_image(np.uint16, "RGB")))
    write_photo(photo, tmp_path / "a.tif")
    np.testing.assert_array_equal(read_photo(tmp_path / "a.tif").pixels, photo.pixels)
    assert read_photo(encode_photo(photo, "avif")).metadata.bits == 10
    with pytest.raises(PhotoError, match="cannot be written as 'heic'"):
        encode_photo(photo, "heic")


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_applied_once(orientation, make_image, exif_block, xmp):
    """The encoder stores the pixels as they are and the rotation as a property, which libheif applies on decoding."""
    pixels = make_image(np.uint8, "RGB")
    height, width = pixels.shape[:2]
    block = exif_block(orientation, (width, height))
    photo = read_photo(make_heic(pixels, exif=b"Exif\0\0" + block, xmp=xmp(orientation)))
    upright = Image.fromarray(pixels)
    upright.getexif()[0x112] = orientation
    file = io.BytesIO()
    upright.save(file, "png", exif=upright.getexif())
    expected = read_photo(file.getvalue()).pixels
    assert photo.pixels.shape == expected.shape
    assert np.abs(photo.pixels.astype(int) - expected).mean() < 3
    assert photo.metadata.exif == exif_block(1, expected.shape[1::-1], upright=True)
    assert photo.metadata.xmp == xmp(1)
    again = read_photo(encode_photo(photo, "jpeg"))
    assert again.pixels.shape == expected.shape


def test_an_orientation_in_exif_alone_is_ignored(make_image, exif_block):
    """HEIF rotates by its own property; EXIF's orientation is a copy that decoders must not apply."""
    pixels = make_image(np.uint8, "RGB")
    height, width = pixels.shape[:2]
    data = make_heic(pixels, exif=b"Exif\0\0" + exif_block(1, (width, height)))
    start = data.index(b"II*\0")
    at = data.index(struct.pack("<HHI", 0x112, 3, 1), start) + 8
    photo = read_photo(data[:at] + b"\6\0" + data[at + 2 :])
    assert photo.pixels.shape == pixels.shape
    assert photo.metadata.exif == exif_block(1, (width, height), upright=True)


def test_icc_profile_is_kept(make_image, icc):
    image = Image.fromarray(make_image(np.uint8, "RGB"))
    file = io.BytesIO()
    images = pillow_heif.from_pillow(image)
    images[0].info["icc_profile"] = icc
    images.save(file, quality=90)
    photo = read_photo(file.getvalue())
    assert photo.metadata.icc == icc
    assert read_photo(encode_photo(photo, "jpeg")).metadata.icc == icc


def linear_srgb(profile: bytes, code: tuple[int, int, int]) -> np.ndarray:
    """One colour as LittleCMS converts it from a profile to sRGB, 0..1 linear light."""
    source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    image = Image.new("RGB", (1, 1), code)
    result = ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"), renderingIntent=1)
    value = np.asarray(result)[0, 0] / 255
    return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)


def test_display_p3_stated_by_numbers_becomes_a_profile(make_image):
    photo = read_photo(make_heic(make_image(np.uint8, "RGB"), **P3_SRGB, matrix_coefficients=6, full_range_flag=1))
    assert photo.notes == ()
    profile = ImageCms.ImageCmsProfile(io.BytesIO(photo.metadata.icc))
    assert ImageCms.getProfileDescription(profile).strip() == "Display P3"
    # Apple's Display P3 profile has these colorants (D50)
    for name, expected in (("red", (0.5151, 0.2412)), ("green", (0.2919, 0.6922)), ("blue", (0.1571, 0.0666))):
        assert getattr(profile.profile, f"{name}_colorant")[0][:2] == pytest.approx(expected, abs=5e-4)
    # white is white; a P3 green of half intensity is more saturated than any sRGB green: its red is below 0, here 0
    assert linear_srgb(photo.metadata.icc, (255, 255, 255)) == pytest.approx([1, 1, 1], abs=0.01)
    mixed = np.linalg.solve(SRGB_TO_XYZ, P3_TO_XYZ @ np.array([0.5, 0.4, 0.3]))
    code = tuple(round(float(255 * (1.055 * v ** (1 / 2.4) - 0.055))) for v in (0.5, 0.4, 0.3))
    assert linear_srgb(photo.metadata.icc, code) == pytest.approx(mixed, abs=0.01)
    assert read_photo(encode_photo(photo, "jpeg")).metadata.icc == photo.metadata.icc


# As published: IEC 61966-2-1 and SMPTE EG 432-1 with white D65
SRGB_TO_XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
P3_TO_XYZ = np.array([[0.48657, 0.26567, 0.19822], [0.22897, 0.69174, 0.07929], [0.0, 0.04511, 1.04394]])


@pytest.mark.parametrize(
    "numbers", [{"color_primaries": 1, "transfer_characteristics": t} for t in (1, 6, 13)], ids=str
)
def test_srgb_needs_no_profile(numbers, make_image):
    photo = read_photo(make_heic(make_image(np.uint8, "RGB"), **numbers, matrix_coefficients=6, full_range_flag=1))
    assert photo.metadata.icc is None and photo.notes == ()


@pytest.mark.parametrize(
    ("numbers", "name", "white"), [(BT2020_PQ, "PQ", 0.5807), (BT2020_HLG, "HLG", 0.75)], ids=["PQ", "HLG"]
)
def test_hdr_states_its_colour_space(numbers, name, white, make_image, png_chunks):
    """Reference white, 203 cd/m², is code value 0.5807 of PQ and 0.75 of HLG (ITU-R BT.2408 table 1)."""
    photo = read_photo(make_heic(make_image(np.uint16, "RGB"), **numbers, matrix_coefficients=9, full_range_flag=1))
    assert name in photo.notes[0] and len(photo.notes) == 1
    body = bytes([9, numbers["transfer_characteristics"], 0, 1])
    assert (b"cICP", body) in png_chunks(encode_photo(photo, "png"))
    assert b"cicp\0\0\0\0" + body in photo.metadata.icc
    assert read_photo(encode_photo(photo, "tiff")).metadata.icc == photo.metadata.icc
    level = round(white * 255)
    assert linear_srgb(photo.metadata.icc, (level,) * 3) == pytest.approx([1] * 3, abs=0.04)
    assert linear_srgb(photo.metadata.icc, (level // 2,) * 3).max() < 0.35


def test_numbers_without_a_meaning_give_no_profile():
    corners = {f"color_primary_{c}_{axis}": 0.0 for c in ("red", "green", "blue", "white") for axis in "xy"}
    assert nclx.profile({"color_primaries": 77, "transfer_characteristics": 13, **corners}) is None
    assert nclx.profile({"color_primaries": 9, "transfer_characteristics": 3, **corners}) is None


def test_the_primary_one_of_several_images(make_image):
    image = Image.fromarray(make_image(np.uint8, "RGB"))
    images = pillow_heif.from_pillow(image.rotate(180))
    images.add_from_pillow(image)
    file = io.BytesIO()
    images.save(file, quality=95, primary_index=1)
    photo = read_photo(file.getvalue())
    assert np.abs(photo.pixels.astype(int) - np.asarray(image)).mean() < 4
    assert photo.notes == ("The main one of 2 images; the others are left out.",)


@pytest.mark.parametrize("kind", [b"urn:mpeg:hevc:2015:auxid:2", b"urn:com:apple:aux:hdrgain1"], ids=["depth", "gain"])
def test_auxiliary_images_are_left_out(kind, make_image):
    """What the encoder stores as alpha becomes a depth map or a gain map by another name."""
    pixels = make_image(np.uint8, "RGBA")
    data = make_heic(pixels)
    changed = data.replace(b"urn:mpeg:hevc:2015:auxid:1", kind)
    assert changed != data
    photo = read_photo(changed)
    assert photo.alpha is None
    assert photo.notes == ("Additional images in the HEIC (gain map, depth map, mattes) are left out.",)
    np.testing.assert_array_equal(photo.pixels, read_photo(data).pixels)


def test_a_grid_of_tiles(make_image):
    pixels = np.tile(make_image(np.uint8, "RGB"), (3, 3, 1))
    photo = read_photo(make_heic(pixels, tile_size=64))
    assert photo.pixels.shape == pixels.shape
    assert np.abs(photo.pixels.astype(int) - pixels).mean() < 3


def test_av1_in_heif_is_avif(make_image):
    image = Image.fromarray(make_image(np.uint8, "RGB"))
    file = io.BytesIO()
    image.save(file, "avif", quality=95)
    for brand in (b"heic", b"mif1"):
        photo = read_photo(file.getvalue().replace(b"avif", brand))
        assert photo.format == "avif"
        assert np.abs(photo.pixels.astype(int) - np.asarray(image)).mean() < 4


@pytest.mark.parametrize(("code", "name"), [(b"jpeg", "JPEG"), (b"j2k1", "JPEG 2000"), (b"vvc1", "VVC")])
def test_other_codecs_are_refused_by_name(code, name, make_image):
    data = make_heic(make_image(np.uint8, "RGB"))
    at = data.index(b"hvc1")
    with pytest.raises(PhotoError, match=f"with {name} in it") as caught:
        read_photo(data[:at] + code + data[at + 4 :])
    assert caught.value.code == "photo_unsupported"


@pytest.mark.parametrize("side", [60_000, 2**31 - 1, 2**32 - 1])
def test_declared_sizes_are_checked_before_decoding(side):
    data = bytearray(make_heic(np.zeros((64, 64, 3), np.uint8)))  # of other sizes, a crop would contradict the size
    at = data.index(b"ispe") + 8
    data[at : at + 8] = struct.pack(">II", side, side)
    with pytest.raises(PhotoError, match="more than the limit" if side == 60_000 else "limit|damaged"):
        read_photo(bytes(data))


def test_pillow_does_not_learn_the_format(make_image, monkeypatch):
    """Registered openers would change what a program that uses fdikp reads."""
    monkeypatch.delitem(Image.OPEN, "HEIF", raising=False)  # imageio registers it where it is used
    before = (dict(Image.OPEN), dict(Image.SAVE), dict(Image.EXTENSION))
    read_photo(make_heic(make_image(np.uint8, "RGB")))
    assert (dict(Image.OPEN), dict(Image.SAVE), dict(Image.EXTENSION)) == before


def test_without_the_extra_the_error_says_what_to_install(make_image, monkeypatch):
    data = make_heic(make_image(np.uint8, "RGB"))
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    with pytest.raises(PhotoError, match="install the heic extra") as caught:
        read_photo(data)
    assert caught.value.code == "photo_unsupported"
    assert "damaged" not in str(caught.value)
