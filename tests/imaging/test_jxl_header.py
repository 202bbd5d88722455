"""Headers of JPEG XL, written bit by bit here: colour spaces that are stated by numbers."""

import io
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import ImageCms

from fdikp.errors import PhotoError
from fdikp.imaging import encode_photo, nclx, read_photo
from fdikp.imaging.formats import readable
from fdikp.imaging.jxl_header import read_colours

SRGB, BT2020, DISPLAY_P3 = (1, 1), (1, 9), (1, 11)  # white and primaries


def bits(*fields: tuple[int, int]) -> list[int]:
    """Fields of (value, number of bits), lowest bit first."""
    return [value >> i & 1 for value, count in fields for i in range(count)]


def enum(value: int) -> list[int]:
    if value < 2:
        return bits((value, 2))
    return bits((2, 2), (value - 2, 4)) if value < 18 else bits((3, 2), (value - 18, 6))


def coordinate(value: float) -> list[int]:
    number = round(value * 1e6)
    number = 2 * number if number >= 0 else -2 * number - 1
    for selector, (offset, count) in enumerate(((0, 19), (524288, 19), (1048576, 20), (2097152, 21))):
        if offset <= number < offset + 2**count:
            return bits((selector, 2), (number - offset, count))
    raise ValueError(value)


def colour_space(white, primaries, transfer=13, gamma=None) -> list[int]:
    """Numbers, or lists of coordinates for custom ones."""
    out = bits((0, 1), (0, 1)) + enum(0)
    out += enum(white) if isinstance(white, int) else enum(2) + [b for v in white for b in coordinate(v)]
    out += enum(primaries) if isinstance(primaries, int) else enum(2) + [b for v in primaries for b in coordinate(v)]
    return out + (bits((0, 1)) + enum(transfer) if gamma is None else bits((1, 1), (gamma, 24))) + enum(1)


ALPHA = bits((0, 1)) + enum(0) + bits((0, 1), (0, 2)) + bits((0, 2)) + bits((1, 2), (5, 4))
ALPHA += bits(*((letter, 8) for letter in b"alpha"))


def codestream(colours: list[int], *, extra: list[int] = (0,), depth: list[int] = (0, 1, 0), channels=()) -> bytes:
    """The start of a codestream of 32×32 pixels: 10 bits per sample unless `depth` says otherwise."""
    count = bits((len(channels), 2)) if len(channels) < 2 else bits((2, 2), (len(channels) - 2, 4))
    out = [*bits((1, 1), (3, 5), (1, 3)), 0, *extra, *depth, 1, *count]
    out += [b for channel in channels for b in channel] + [0, *colours] + bits((0, 2), (1, 1))
    out += [0] * (-len(out) % 8)
    return b"\xff\x0a" + bytes(sum(b << i for i, b in enumerate(out[at : at + 8])) for at in range(0, len(out), 8))


def boxed(data: bytes, pieces: bool) -> bytes:
    def box(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I4s", len(body) + 8, name) + body

    start = box(b"JXL ", b"\r\n\x87\n") + box(b"ftyp", b"jxl \0\0\0\0jxl ")
    if not pieces:
        return start + box(b"jxlc", data)
    return start + box(b"jxlp", struct.pack(">I", 0) + data) + box(b"jxlp", struct.pack(">I", 0x80000001) + bytes(9))


@pytest.mark.parametrize("container", ["none", "whole", "pieces"])
@pytest.mark.parametrize(("space", "number"), [(BT2020, 9), (DISPLAY_P3, 12), (SRGB, 1)], ids=str)
@pytest.mark.parametrize("transfer", [1, 8, 13, 16, 18])
def test_known_spaces(space, number, transfer, container):
    data = codestream(colour_space(*space, transfer))
    numbers = read_colours(data if container == "none" else boxed(data, container == "pieces")).numbers
    assert (numbers["color_primaries"], numbers["transfer_characteristics"]) == (number, transfer)
    assert (numbers["color_primary_white_x"], numbers["color_primary_white_y"]) == (0.3127, 0.329)


def test_custom_primaries_and_a_gamma_become_a_profile():
    """Adobe RGB: its primaries, D65, and a gamma of 563/256."""
    corners = (0.64, 0.33, 0.21, 0.71, 0.15, 0.06)
    numbers = read_colours(codestream(colour_space((0.3127, 0.329), corners, gamma=round(1e7 * 256 / 563)))).numbers
    assert numbers["gamma"] == pytest.approx(563 / 256)
    assert [numbers[f"color_primary_{c}_{a}"] for c in ("red", "green", "blue") for a in "xy"] == list(corners)
    profile = ImageCms.ImageCmsProfile(io.BytesIO(nclx.profile(numbers))).profile
    # As published for Adobe RGB (1998), adapted to D50
    assert profile.red_colorant[0] == pytest.approx((0.6097, 0.3111, 0.0195), abs=1e-3)
    assert profile.green_colorant[0] == pytest.approx((0.2053, 0.6257, 0.0609), abs=1e-3)
    assert profile.blue_colorant[0] == pytest.approx((0.1492, 0.0632, 0.7446), abs=1e-3)


def test_negative_coordinates():
    """ACES has a blue primary below the axis."""
    numbers = read_colours(codestream(colour_space(1, (0.7347, 0.2653, 0.0, 1.0, 0.0001, -0.077)))).numbers
    assert numbers["color_primary_blue_y"] == -0.077


@pytest.mark.parametrize(
    "options",
    [
        {"extra": bits((1, 1), (5, 3), (0, 1), (0, 1), (0, 1))},
        {"extra": bits((1, 1), (0, 3), (1, 1)) + bits((0, 1), (1, 2), (700, 13), (0, 3), (0, 2), (31, 9)) + [0, 0]},
        {"extra": bits((1, 1), (0, 3), (0, 1), (1, 1)) + bits((0, 1), (1, 2), (9, 8), (2, 3)) + [0]},
        {"extra": bits((1, 1), (0, 3), (0, 1), (0, 1), (1, 1)) + bits((1, 2), (0, 2), (1, 2), (5, 3), (0, 1))},
        {"depth": bits((0, 1), (3, 2), (13, 6))},
        {"depth": bits((1, 1), (1, 2), (5, 4))},
        {"channels": [[1], [1]]},
        {"channels": [[*ALPHA, 0]]},
    ],
    ids=[
        "orientation",
        "intrinsic size",
        "preview",
        "animation",
        "14 bits",
        "half float",
        "two channels",
        "named alpha",
    ],
)
def test_other_fields_are_stepped_over(options):
    header = read_colours(codestream(colour_space(*DISPLAY_P3), **options))
    assert header.numbers["color_primaries"] == 12 and not header.premultiplied


def test_premultiplied_alpha_is_noticed():
    assert read_colours(codestream([1], channels=[[*ALPHA, 1]])).premultiplied


@pytest.mark.parametrize(
    "colours", [[1], bits((0, 1), (1, 1)) + enum(0), bits((0, 1), (0, 1)) + enum(1)], ids=["sRGB", "ICC", "grey"]
)
def test_nothing_is_stated(colours):
    assert read_colours(codestream(colours)).numbers is None


@pytest.mark.parametrize(
    "data", [b"\xff\x0a", codestream(colour_space(9, 9)), codestream(colour_space(1, 5)), b"", bytes(20)]
)
def test_damaged_headers(data):
    with pytest.raises(ValueError):
        read_colours(data)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=60))
def test_arbitrary_headers(data):
    for start in (b"\xff\x0a", b"\0\0\0\x0cJXL \r\n\x87\n"):
        try:
            header = read_colours(start + data)
        except ValueError:
            continue
        if header.numbers:
            nclx.described(header.numbers, [])


@pytest.mark.skipif(not readable("jxl"), reason="needs the jxl extra")
@pytest.mark.parametrize(("space", "name"), [(DISPLAY_P3, "Display P3"), ((9, 9), None)], ids=str)
def test_a_photo_in_such_a_space(space, name):
    """A file by imagecodecs, 32×32 in sRGB, with another colour space put into its header."""
    import imagecodecs

    pixels = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
    data = imagecodecs.jpegxl_encode(pixels, lossless=True)
    depth = bits((0, 1), (0, 2))
    plain = codestream([1], depth=depth)
    assert data.startswith(plain[:-1])  # the last byte may hold the first bits of what follows, and does not here
    data = codestream(colour_space(*space), depth=depth) + data[len(plain) :]
    if name is None:
        with pytest.raises(PhotoError):
            read_photo(data)
        return
    photo = read_photo(data)
    np.testing.assert_array_equal(photo.pixels, pixels)
    profile = ImageCms.ImageCmsProfile(io.BytesIO(photo.metadata.icc))
    assert ImageCms.getProfileDescription(profile).strip() == name
    assert read_photo(encode_photo(photo, "png")).metadata.icc == photo.metadata.icc
