"""BMP of every kind, compared with Pillow's reader where that reads the kind correctly, else with what was encoded."""

import io
import struct

import numpy as np
import pytest
from PIL import Image

from fdikp.errors import PhotoError
from fdikp.imaging import encode_photo, output_format, read_photo, write_photo

MASKS_565, MASKS_1010102 = (0xF800, 0x07E0, 0x001F), (0x3FF00000, 0x000FFC00, 0x000003FF, 0xC0000000)


def make_bmp(
    body: bytes,
    size: tuple[int, int],
    bits: int,
    *,
    header: int = 40,
    compression: int = 0,
    masks: tuple[int, ...] = (),
    palette: bytes = b"",
    colours: int = 0,
    density: int = 0,
    planes: int = 1,
    profile: bytes = b"",
) -> bytes:
    """Serialise a BMP file of `size` (width, height) whose rows are `body`, already padded and in the file's order."""
    if header == 12:
        head = struct.pack("<IHHHH", 12, *size, planes, bits)
    else:
        fields = struct.pack("<IiiHHIIiiII", header, *size, planes, bits, compression, 0, density, density, colours, 0)
        packed = struct.pack(f"<{len(masks)}I", *masks)
        head = (fields + packed).ljust(header, b"\0")
        if profile:
            assert header == 124
            at = header + len(palette) + len(body)
            head = (
                head[:56]
                + struct.pack("<I", 0x4D424544)
                + head[60:112]
                + struct.pack("<II", at, len(profile))
                + bytes(4)
            )
    start = 14 + len(head) + len(palette)
    return struct.pack("<2sIII", b"BM", start + len(body), 0, start) + head + palette + body + profile


def rows(array: np.ndarray) -> bytes:
    """The rows of [H, bytes], from the bottom, each padded to a multiple of 4 bytes."""
    return b"".join(row.tobytes() + bytes(-row.nbytes % 4) for row in array[::-1])


def by_pillow(data: bytes, mode: str = "RGB") -> np.ndarray:
    return np.atleast_3d(np.asarray(Image.open(io.BytesIO(data)).convert(mode)))


@pytest.fixture(scope="module")
def colours() -> np.ndarray:
    """256 colours as entries of a palette: blue, green, red, 0."""
    table = np.zeros((256, 4), np.uint8)
    table[:, :3] = np.random.default_rng(1).integers(0, 256, (256, 3))
    return table


def indices(bits: int, width: int) -> np.ndarray:
    """[11, width] palette indices with runs and noise."""
    y, x = np.mgrid[:11, :width]
    smooth = (x // 5 + y) % 2**bits
    noise = np.random.default_rng(bits).integers(0, 2**bits, smooth.shape)
    return np.where((y % 3 == 0) & (x > width // 2), noise, smooth).astype(np.uint8)


@pytest.mark.parametrize("width", [1, 2, 3, 8, 13, 31, 32, 33])
@pytest.mark.parametrize("bits", [1, 4, 8])
@pytest.mark.parametrize("header", [12, 40, 108])
def test_palettes(bits, width, header, colours):
    image = indices(bits, width)
    binary = np.unpackbits(image[..., np.newaxis], axis=2)[..., 8 - bits :].reshape(11, -1)
    table = colours[: 2**bits, : 3 if header == 12 else 4].tobytes()
    data = make_bmp(rows(np.packbits(binary, axis=1)), (width, 11), bits, header=header, palette=table)
    photo = read_photo(data)
    assert (photo.format, photo.notes, photo.alpha) == ("bmp", (), None)
    np.testing.assert_array_equal(photo.pixels, colours[image][..., 2::-1])
    np.testing.assert_array_equal(photo.pixels, by_pillow(data))


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA"])
def test_files_by_pillow(mode, make_image, tmp_path):
    image = Image.fromarray(make_image(np.uint8, "RGBA")).convert("RGB" if mode == "P" else mode)
    image = image.quantize(40) if mode == "P" else image
    image.save(tmp_path / "a.bmp", dpi=(300, 300))
    photo = read_photo(tmp_path / "a.bmp")
    grey = mode in ("1", "L")
    np.testing.assert_array_equal(photo.pixels, by_pillow((tmp_path / "a.bmp").read_bytes(), "L" if grey else "RGB"))
    assert photo.pixels.shape[2] == (1 if grey else 3)
    assert photo.metadata.dpi == pytest.approx((300, 300), rel=1e-3)
    assert photo.alpha is None  # Pillow writes an alpha channel without declaring it


@pytest.mark.parametrize("bits", [16, 24, 32])
@pytest.mark.parametrize("top_down", [False, True])
@pytest.mark.parametrize("width", [1, 7, 12])
def test_colours_without_a_palette(bits, top_down, width):
    body = np.random.default_rng(bits).integers(0, 256, (9, width * bits // 8), np.uint8)
    data = make_bmp(rows(body[::-1] if top_down else body), (width, -9 if top_down else 9), bits)
    np.testing.assert_array_equal(read_photo(data).pixels, by_pillow(data))
    assert read_photo(data).alpha is None


@pytest.mark.parametrize("header", [40, 52, 56, 108, 124])
def test_bit_masks(header):
    values = np.arange(0, 65536, 257, dtype="<u2").reshape(16, 16)
    data = make_bmp(rows(values), (16, 16), 16, header=header, compression=3, masks=MASKS_565)
    if header == 40:  # the masks follow the header
        assert len(data) == 14 + 40 + 12 + values.nbytes
    np.testing.assert_array_equal(read_photo(data).pixels, by_pillow(data))
    assert read_photo(data).pixels.max() == 255


def test_masks_wider_than_8_bits_give_16():
    values = np.random.default_rng(0).integers(0, 2**32, (6, 5), dtype=np.uint32)
    values[0, 0] = 2**32 - 1
    photo = read_photo(make_bmp(rows(values), (5, 6), 32, header=56, compression=3, masks=MASKS_1010102))
    channels = [(values >> shift & 1023).astype(np.float64) / 1023 * 65535 for shift in (20, 10, 0)]
    assert photo.pixels.dtype == np.uint16
    assert np.abs(photo.pixels - np.stack(channels, -1)).max() < 1
    np.testing.assert_array_equal(photo.alpha, (values >> 30) * 21845)
    assert photo.pixels[0, 0].tolist() == [65535] * 3


@pytest.mark.parametrize("header", [40, 56, 124])
def test_alpha_is_read_if_declared_and_not_empty(header):
    values = np.random.default_rng(2).integers(0, 2**32, (4, 4), dtype=np.uint32)
    masks = (0xFF0000, 0xFF00, 0xFF, 0xFF000000)
    options = {"header": header, "compression": 6 if header == 40 else 3, "masks": masks}
    photo = read_photo(make_bmp(rows(values), (4, 4), 32, **options))
    np.testing.assert_array_equal(photo.alpha, values >> 24)
    np.testing.assert_array_equal(photo.pixels[..., 0], values >> 16 & 255)
    assert read_photo(make_bmp(rows(values & 0xFFFFFF), (4, 4), 32, **options)).alpha is None
    assert read_photo(make_bmp(rows(values), (4, 4), 32)).alpha is None


def run_length_coded(image: np.ndarray, four: bool, literals: bool = True) -> bytes:
    """Encode indices, from the bottom row: runs of 3 and more as runs, the rest as literal pixels."""
    out = b""
    for row in image[::-1].tolist():
        x = 0
        while x < len(row):
            end = x
            while end < len(row) and row[end] == row[x] and end - x < 255:
                end += 1
            rest = row[x : min(x + 7, len(row))]
            if end - x >= 3 or len(rest) < 3 or not literals:
                out += bytes([end - x, row[x] * 17 if four else row[x]])
                x = end
                continue
            body = bytes(rest)
            if four:
                pairs = rest + [0] * (len(rest) % 2)
                body = bytes(a << 4 | b for a, b in zip(pairs[::2], pairs[1::2], strict=True))
            out += bytes([0, len(rest)]) + body + bytes(len(body) % 2)
            x += len(rest)
        out += b"\0\0"
    return out + b"\0\1"


@pytest.mark.parametrize("literals", [False, True])
@pytest.mark.parametrize("bits", [4, 8])
def test_run_length_coding(bits, literals, colours):
    image = indices(bits, 300)
    body = run_length_coded(image, bits == 4, literals)
    table = colours[: 2**bits].tobytes()
    data = make_bmp(body, (300, 11), bits, compression=2 if bits == 4 else 1, palette=table)
    np.testing.assert_array_equal(read_photo(data).pixels, colours[image][..., 2::-1])
    np.testing.assert_array_equal(read_photo(data).pixels, by_pillow(data))
    without_end = read_photo(data[:-2])
    np.testing.assert_array_equal(without_end.pixels, read_photo(data).pixels)
    for left in (8, 40, len(body) // 2, len(body) - 6):
        with pytest.raises(PhotoError, match="cut short"):
            read_photo(data[: len(data) - left])


def test_run_length_coding_skips_and_stops_early(colours):
    """A delta moves right and up; what is skipped, and what follows the end mark, is index 0."""
    body = b"\3\5" + b"\0\2\2\1" + b"\2\7" + b"\0\1"
    photo = read_photo(make_bmp(body, (8, 4), 8, compression=1, palette=colours.tobytes()))
    expected = np.zeros((4, 8), np.uint8)
    expected[3, :3], expected[2, 5:7] = 5, 7
    np.testing.assert_array_equal(photo.pixels, colours[expected][..., 2::-1])


def test_short_palettes_are_filled_with_black(colours):
    image = indices(8, 20) % 16
    data = make_bmp(rows(image), (20, 11), 8, colours=10, palette=colours[:10].tobytes())
    known = np.where(np.arange(256)[:, np.newaxis] < 10, colours[:, 2::-1], 0)
    np.testing.assert_array_equal(read_photo(data).pixels, known[image])


def test_grey_palettes_give_grey_photos():
    ramp = np.repeat(np.arange(256, dtype=np.uint8)[:, np.newaxis], 4, 1)
    photo = read_photo(make_bmp(rows(indices(8, 20)), (20, 11), 8, palette=ramp.tobytes()))
    np.testing.assert_array_equal(photo.pixels[..., 0], indices(8, 20))


def test_profile_and_results(make_image, icc, tmp_path):
    pixels = make_image(np.uint8, "RGB")
    data = make_bmp(rows(pixels[..., ::-1].reshape(len(pixels), -1)), pixels.shape[1::-1], 24, header=124, profile=icc)
    photo = read_photo(data)
    np.testing.assert_array_equal(photo.pixels, pixels)
    assert photo.metadata.icc == icc
    assert output_format(photo) == ("png", ".png")
    write_photo(photo, tmp_path / "a.png")
    result = read_photo(tmp_path / "a.png")
    np.testing.assert_array_equal(result.pixels, pixels)
    assert result.metadata.icc == icc
    with pytest.raises(PhotoError, match="cannot be written as 'bmp'"):
        encode_photo(photo, "bmp")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"size": (0, 4)}, "damaged"),
        ({"size": (4, 0)}, "damaged"),
        ({"size": (-4, 4)}, "damaged"),
        ({"size": (4, -(2**31))}, "more than the limit"),
        ({"size": (4, 6)}, "damaged"),
        ({"size": (40000, 40000)}, "more than the limit"),
        ({"compression": 1}, "24 bits per pixel with compression 1"),
        ({"compression": 4}, "compression 4"),
        ({"bits": 32, "compression": 3, "masks": (0xFF, 0xFF00, 0)}, "damaged"),
        ({"bits": 32, "compression": 3, "masks": (0xFF, 0xFF00, 0x5A0000)}, "damaged"),
        ({"bits": 16, "compression": 3, "masks": (0xFF, 0xFF00, 0xFF0000)}, "damaged"),
        ({"bits": 8, "compression": 1, "size": (4, -4)}, "damaged"),
        ({"bits": 8, "compression": 1, "body": b"\4\1\0\0" * 3 + b"\4\1"[:1]}, "damaged"),
        ({"bits": 2}, "not a photo"),
        ({"planes": 0}, "not a photo"),
        ({"header": 41}, "not a photo"),
    ],
    ids=str,
)
def test_damaged_files_are_refused(change, message):
    arguments = {"body": bytes(64), "size": (4, 4), "bits": 24, **change}
    with pytest.raises(PhotoError, match=message) as caught:
        read_photo(make_bmp(**arguments))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("at", [0, 2**31, 2**32 - 1])
def test_pixels_outside_the_file_are_refused(at):
    data = bytearray(make_bmp(bytes(48), (4, 4), 24))
    data[10:14] = struct.pack("<I", at)
    if at:
        with pytest.raises(PhotoError, match="cut short"):
            read_photo(bytes(data))
    else:  # pixels that overlap the header are odd, not dangerous
        read_photo(bytes(data))
