"""Pairs of equal pixels, whatever their files."""

from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from fdikp.data import identical, open_set
from fdikp.data.identical import identical_pairs, same_pixels
from fdikp.errors import DataError


@pytest.fixture
def pixels() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (48, 40, 3), np.uint8)


def save(pixels: np.ndarray, file: Path, **options) -> Path:
    Image.fromarray(pixels).save(file, **options)
    return file


@pytest.mark.parametrize("how", ["copy", "compression", "format", "alpha", "turned", "16 bits"])
def test_equal_pixels_in_other_files(pixels, tmp_path, how):
    one, other = save(pixels, tmp_path / "one.png"), tmp_path / "other.png"
    if how == "copy":
        other.write_bytes(one.read_bytes())
    elif how == "compression":
        save(pixels, other, compress_level=0)
    elif how == "format":
        other = save(pixels, tmp_path / "other.tif")
    elif how == "alpha":
        other = save(np.dstack([pixels, np.full(pixels.shape[:2], 255, np.uint8)]), other)
    elif how == "turned":
        exif = Image.Exif()
        exif[274] = 6  # shown after a quarter turn to the right
        other = save(np.ascontiguousarray(np.rot90(pixels)), other, exif=exif)
    else:
        for file in (one := tmp_path / "one.tif", other := tmp_path / "other.tif"):
            compression = "zlib" if file is other else None
            tifffile.imwrite(file, pixels.astype(np.uint16) * 257 + 3, photometric="rgb", compression=compression)
    assert same_pixels(one, other)


@pytest.mark.parametrize("place", [(0, 0, 0), (20, 3, 1), (-1, -1, 2)])
def test_one_level_in_one_pixel_is_a_difference(pixels, tmp_path, place):
    one = save(pixels, tmp_path / "one.png")
    pixels[place] ^= 1
    assert not same_pixels(one, save(pixels, tmp_path / "other.png"))


def test_most_pairs_are_told_apart_by_their_first_rows(pixels, tmp_path, monkeypatch):
    monkeypatch.setattr(identical, "read_unit", lambda file: pytest.fail("decoded the whole image"))
    one, other = save(pixels, tmp_path / "one.jpg"), save(255 - pixels, tmp_path / "other.jpg")
    assert not same_pixels(one, other)
    assert same_pixels(one, one)


def test_files_that_cannot_be_read_are_not_called_identical(pixels, tmp_path):
    one = save(pixels, tmp_path / "one.png")
    other = tmp_path / "other.png"
    other.write_bytes(one.read_bytes()[:-200])
    with suppress(DataError):
        assert not same_pixels(one, other)
    with pytest.raises(DataError, match=r"gone\.png: cannot be read"):
        same_pixels(one, tmp_path / "gone.png")


def test_of_a_set(pixels, tmp_path):
    for kind in ("source", "target"):
        (tmp_path / kind).mkdir()
        for n in range(4):
            shown = 255 - pixels if kind == "target" and n % 2 else pixels
            save(shown, tmp_path / kind / f"p{n}.png", compress_level=1 if kind == "source" else 9)
    assert identical_pairs(open_set("mine", tmp_path).samples) == ("p0", "p2")
    (tmp_path / "sharp").mkdir()
    save(np.tile(pixels, (4, 4, 1)), tmp_path / "sharp" / "kodim01.png")
    assert identical_pairs(open_set("kodak-rendered", tmp_path / "sharp").samples) == ()
