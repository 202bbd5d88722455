"""Photos made without fdikp: by Pillow, tifffile, and a slow plain PNG coder for what Pillow cannot do."""

import io
import struct
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms

HEIGHT, WIDTH = 48, 70
XMP = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    b'<rdf:Description xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="%d" tiff:Make="x"/>'
    b"</rdf:RDF></x:xmpmeta>"
)


@pytest.fixture(scope="session")
def xmp() -> Callable[[int], bytes]:
    """Make an XMP packet that states an orientation."""
    return lambda orientation: XMP % orientation


@pytest.fixture(scope="session")
def png_chunks() -> Callable[[bytes], list[tuple[bytes, bytes]]]:
    """List the chunks of a PNG file, (name, body), without the pixels'."""
    return lambda data: parse_png(data)[1]


@pytest.fixture(scope="session")
def png_chunk() -> Callable[[bytes, bytes], bytes]:
    """Serialise a PNG chunk."""
    return _chunk


@pytest.fixture(scope="session")
def scene() -> np.ndarray:
    """[H, W, 4] uint16: smooth colours with some grain, and an alpha that is 0 in a corner."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    waves = [np.sin(x / 9 + c) + np.cos(y / 7 - c) for c in range(4)]
    grain = np.random.default_rng(0).normal(0, 0.02, (HEIGHT, WIDTH, 4))
    scene = ((np.stack(waves, -1) / 4.4 + 0.5 + grain).clip(0, 1) * 65535).round().astype(np.uint16)
    scene[:9, :9, 3] = 0
    return scene


@pytest.fixture(scope="session")
def make_image(scene: np.ndarray) -> Callable[[Any, str], np.ndarray]:
    """Cut [H, W, B] out of the scene: dtype, and channels "L", "LA", "RGB" or "RGBA"."""

    def make(dtype: Any, channels: str) -> np.ndarray:
        bands = {"L": [0], "LA": [0, 3], "RGB": [0, 1, 2], "RGBA": [0, 1, 2, 3]}[channels]
        cut = scene[..., bands]
        if dtype == np.uint8:
            return (cut >> 8).astype(np.uint8)
        return cut if dtype == np.uint16 else (cut / np.float32(65535)).astype(dtype)

    return make


@pytest.fixture(scope="session")
def icc() -> bytes:
    """A valid RGB profile in which red and blue are exchanged: converting anything through it would show."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    swapped = profile.replace(b"rXYZ", b"tmp.", 1).replace(b"bXYZ", b"rXYZ", 1).replace(b"tmp.", b"bXYZ", 1)
    ImageCms.getProfileName(ImageCms.ImageCmsProfile(io.BytesIO(swapped)))  # lcms accepts it
    return swapped


@pytest.fixture(scope="session")
def grey_icc() -> bytes:
    """A minimal grey profile of gamma 2.2."""
    d50 = struct.pack(">3i", 63190, 65536, 54061)
    text = b"text\0\0\0\0none\0\0\0\0"
    tags = {
        b"cprt": text,
        b"desc": b"desc\0\0\0\0" + struct.pack(">I", 5) + b"grey\0" + bytes(80),
        b"kTRC": b"curv\0\0\0\0" + struct.pack(">IH", 1, round(2.2 * 256)) + b"\0\0",
        b"wtpt": b"XYZ \0\0\0\0" + d50,
    }
    table, body, at = struct.pack(">I", len(tags)), b"", 128 + 4 + 12 * len(tags)
    for name, data in tags.items():
        data += bytes(-len(data) % 4)
        table += name + struct.pack(">II", at + len(body), len(data))
        body += data
    size = at + len(body)
    head = struct.pack(">I4sI4s4s4s12x4s28x", size, b"lcms", 0x02400000, b"mntr", b"GRAY", b"XYZ ", b"acsp")
    return (head + d50).ljust(128, b"\0") + table + body


def _directory(order: str, at: int, entries: list[tuple[int, int, int, bytes]], following: int) -> bytes:
    out = struct.pack(order + "H", len(entries))
    values, values_at = b"", at + 2 + 12 * len(entries) + 4
    for tag, kind, count, data in entries:
        out += struct.pack(order + "HHI", tag, kind, count)
        if len(data) > 4:
            out += struct.pack(order + "I", values_at + len(values))
            values += data + bytes(len(data) % 2)
        else:
            out += data.ljust(4, b"\0")
    return out + struct.pack(order + "I", following) + values


@pytest.fixture(scope="session")
def exif_block() -> Callable[..., bytes]:
    """Make an EXIF block with everything libexif spoils: a maker note, an unknown tag, text that is not ASCII.

    With `following` zero and `thumbnail` empty it is what should be left of one that had a thumbnail.
    """

    def make(orientation: int, size: tuple[int, int], *, order: str = "<", upright: bool = False) -> bytes:
        short, long = (lambda n: struct.pack(order + "H", n)), (lambda n: struct.pack(order + "I", n))
        note = b"MAKER\0\xff\xfe" + bytes(range(60))
        inner = [
            (0x829A, 5, 1, struct.pack(order + "II", 1, 250)),
            (0x927C, 7, len(note), note),
            (0xA002, 4, 1, long(size[0])),
            (0xA003, 3, 1, short(size[1])),
            (0xFE00, 7, 4, b"odd!"),
        ]
        main = [
            (0x010F, 2, 9, "Café Ü".encode() + b"\0"),
            (0x0112, 3, 1, short(orientation)),
            (0x8769, 4, 1, b""),
        ]
        inner_at = 8 + len(_directory(order, 8, main, 0))
        second_at = inner_at + len(_directory(order, inner_at, inner, 0))
        thumbnail_at = second_at + 2 + 12 * 2 + 4
        main[2] = (0x8769, 4, 1, long(inner_at))
        thumbnail = b"\xff\xd8thumbnail\xff\xd9"
        second = [(0x0201, 4, 1, long(thumbnail_at)), (0x0202, 4, 1, long(len(thumbnail)))]
        return (
            (b"II*\0" if order == "<" else b"MM\0*")
            + long(8)
            + _directory(order, 8, main, 0 if upright else second_at)
            + _directory(order, inner_at, inner, 0)
            + _directory(order, second_at, second, 0)
            + (b"" if upright else thumbnail)
        )

    return make


def _chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def make_png(pixels: np.ndarray, extra: bytes = b"") -> bytes:
    """Reference PNG writer: [H, W, B] uint8 or uint16, no filter; `extra` chunks go before the pixels."""
    height, width, bands = pixels.shape
    rows = pixels.astype(">u2" if pixels.dtype == np.uint16 else np.uint8).reshape(height, -1)
    kind = {1: 0, 2: 4, 3: 2, 4: 6}[bands]
    header = struct.pack(">IIBBBBB", width, height, 8 * pixels.itemsize, kind, 0, 0, 0)
    data = zlib.compress(b"".join(b"\0" + row.tobytes() for row in rows))
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + extra + _chunk(b"IDAT", data) + _chunk(b"IEND", b"")


def parse_png(data: bytes) -> tuple[np.ndarray, list[tuple[bytes, bytes]]]:
    """Reference PNG reader: pixels [H, W, B] and all chunks but the pixels'; checksums are checked."""
    position, stream, chunks = 8, b"", []
    while position < len(data):
        size = int.from_bytes(data[position : position + 4], "big")
        name, body = data[position + 4 : position + 8], data[position + 8 : position + 8 + size]
        assert data[position : position + 12 + size] == _chunk(name, body)
        if name == b"IDAT":
            stream += body
        else:
            chunks.append((name, body))
        position += 12 + size
    width, height, depth, kind = struct.unpack(">IIBB", chunks[0][1][:10])
    bands, size = {0: 1, 4: 2, 2: 3, 6: 4}[kind], depth // 8
    raw = np.frombuffer(zlib.decompress(stream), np.uint8).reshape(height, -1)
    step, rows = bands * size, np.zeros((height + 1, bands * size + width * bands * size), np.int64)
    for y, (kind, *_) in enumerate(raw):
        line, above = rows[y + 1], rows[y]
        for i, value in enumerate(raw[y, 1:].tolist(), step):
            left, up, corner = int(line[i - step]), int(above[i]), int(above[i - step])
            paeth = min((left, up, corner), key=lambda each: abs(left + up - corner - each))
            line[i] = (value + (0, left, up, (left + up) // 2, paeth)[kind]) % 256
    pixels = rows[1:, step:].astype(np.uint8).tobytes()
    return np.frombuffer(pixels, ">u2" if size == 2 else np.uint8).reshape(height, width, bands), chunks


@pytest.fixture(scope="session")
def encode() -> Callable[..., bytes]:
    """Encode [H, W, B] without fdikp: PNG by the reference writer, TIFF by tifffile, the rest by Pillow."""

    def make(format: str, pixels: np.ndarray, **options: Any) -> bytes:
        if format == "png" and "exif" not in options and "icc_profile" not in options:
            return make_png(pixels, **options)
        file = io.BytesIO()
        if format == "tiff":
            colours = 3 if pixels.shape[2] >= 3 else 1
            extra = {"extrasamples": ["unassalpha"]} if pixels.shape[2] > colours else {}
            if colours == 1 and extra:
                extra["planarconfig"] = "contig"
            data = pixels[..., 0] if pixels.shape[2] == 1 else pixels
            kind = "rgb" if colours == 3 else "minisblack"
            tifffile.imwrite(file, data, **{"photometric": kind, "metadata": None, **extra, **options})
        else:
            Image.fromarray(pixels.squeeze()).save(file, format, **options)
        return file.getvalue()

    return make


@pytest.fixture(scope="session")
def decode() -> Callable[[str, bytes], np.ndarray]:
    """Decode to [H, W, B] without fdikp."""

    def make(format: str, data: bytes) -> np.ndarray:
        if format == "png":
            return parse_png(data)[0]
        file = io.BytesIO(data)
        pixels = tifffile.imread(file) if format == "tiff" else np.asarray(Image.open(file))
        return pixels[..., np.newaxis] if pixels.ndim == 2 else pixels

    return make
