"""The files of a job: what is decoded and written, and what a bad file comes to."""

import io
import struct
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fdikp.imaging import read_photo
from fdikp.jobs import RestoredPhoto, steps
from fdikp.service import codec
from fdikp.service.parameters import JobParameters
from fdikp.service.settings import ServiceSettings

PARAMETERS = JobParameters()


def flat_png(side: int, depth: int = 8) -> bytes:
    """A PNG of black, a few kilobytes for millions of pixels."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    packer = zlib.compressobj(9)
    row = bytes(1 + 3 * side * depth // 8)
    data = b"".join(packer.compress(row) for _ in range(side)) + packer.flush()
    header = struct.pack(">IIBBBBB", side, side, depth, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "jobs" / "id"
    path.mkdir(parents=True)
    return path


def decode(folder: Path, content: bytes, settings: ServiceSettings, **options: bool) -> steps.DecodedPhoto:
    (folder / "source").write_bytes(content)
    return codec.decode(folder, PARAMETERS, settings, **{"mask": False, "maps": False} | options)


@pytest.mark.parametrize(("format", "suffix"), [("JPEG", "jpg"), ("PNG", "png"), ("TIFF", "tif"), ("BMP", "png")])
def test_a_photo_is_decoded_as_in_this_process(
    folder: Path, settings: ServiceSettings, photo: Callable[..., bytes], format: str, suffix: str
) -> None:
    decoded = decode(folder, photo(format=format), settings)
    here = read_photo(folder / "source")
    assert np.array_equal(decoded.photo.pixels, here.pixels)
    assert decoded.photo.metadata == here.metadata
    assert decoded.request.output == folder / f"result.{suffix}"
    assert codec.inspect(folder / "source", settings) == codec.Header(format.lower(), 30, 20)


@pytest.mark.parametrize(
    ("content", "code", "message"),
    [
        (b"", "photo_unsupported", "the photo: is empty"),
        (b"GIF89a", "photo_damaged", "the photo: "),
        (b"#!/bin/sh\n" * 9, "photo_unsupported", "the photo: is not a photo in a format that fdikp reads; give"),
        (flat_png(2000), "too_many_pixels", "more than the limit of 1 million; send a smaller photo"),
    ],
    ids=["empty", "header alone", "script", "pixels"],
)
def test_a_bad_file_is_refused(
    folder: Path, settings: ServiceSettings, content: bytes, code: str, message: str
) -> None:
    settings = replace(settings, max_pixels=1_000_000)
    for work in (lambda: decode(folder, content, settings), lambda: codec.inspect(folder / "source", settings)):
        with pytest.raises(codec.JobError) as caught:
            work()
        assert caught.value.code == code
        assert message in str(caught.value)
        assert str(folder.parent) not in str(caught.value)


def test_a_cut_photo_is_refused(folder: Path, settings: ServiceSettings, photo: Callable[..., bytes]) -> None:
    with pytest.raises(codec.JobError, match=r"^the photo: ") as caught:
        decode(folder, photo(300, 200)[:9000], settings)
    assert caught.value.code == "photo_damaged"


def test_a_bomb_within_the_pixels_meets_the_limit_of_memory(folder: Path, settings: ServiceSettings) -> None:
    bomb = flat_png(6000, depth=16)  # 206 MiB
    assert len(bomb) < 300_000
    with pytest.raises(codec.JobError) as caught:
        decode(folder, bomb, replace(settings, decode_memory=2**28))
    assert caught.value.code in ("over_memory_budget", "photo_damaged")  # some codecs report it as damage


def test_decoding_is_limited_in_time(folder: Path, settings: ServiceSettings, photo: Callable[..., bytes]) -> None:
    with pytest.raises(codec.JobError, match="took too long") as caught:
        decode(folder, photo(), replace(settings, decode_seconds=1e-6))
    assert caught.value.code == "timed_out"


def test_a_mask_that_does_not_fit_is_named(
    folder: Path, settings: ServiceSettings, photo: Callable[..., bytes]
) -> None:
    (folder / "mask").write_bytes(photo(10, 300))
    with pytest.raises(codec.JobError, match=r"^the photo: its mask, ") as caught:
        decode(folder, photo(), settings, mask=True)
    assert caught.value.code == "mask_unusable"


def test_result_and_copies_for_browsers(folder: Path, settings: ServiceSettings) -> None:
    samples = np.random.default_rng(0).integers(0, 65536, (20, 30, 3), np.uint16)
    import tifffile

    file = io.BytesIO()
    tifffile.imwrite(file, samples, photometric="rgb")
    decoded = decode(folder, file.getvalue(), settings, maps=True)
    after = decoded.photo.with_pixels(65535 - samples)
    radius = np.full((20, 30), 2.5, np.float32)
    restored = RestoredPhoto(
        decoded.request, after, None, radius, 1, "model", "0" * 64, confidence_map=np.full_like(radius, 0.2)
    )
    result = codec.write_result(restored, decoded.photo, settings)
    assert codec.files_of(result, folder) == {
        "result": "result.tif",
        "display": "display.png",
        "before": "before.png",
        "blur_map": "blur_map.png",
        "blur_map_figure": "blur_map_figure.png",
        "confidence": "confidence.png",
    }
    assert np.array_equal(read_photo(folder / "result.tif").pixels, 65535 - samples)
    for name, full in (("before.png", samples), ("display.png", 65535 - samples)):
        shown = np.array(Image.open(folder / name))
        assert shown.dtype == np.uint8
        assert np.array_equal(shown, np.rint(full / 257.0))
    assert (np.array(Image.open(folder / "blur_map.png")) == 640).all()
