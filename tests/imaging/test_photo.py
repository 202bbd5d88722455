"""A photo in memory: what it accepts, and that it can travel to another process."""

import multiprocessing
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor

import numpy as np
import pytest
from PIL import Image

from fdikp.imaging import Photo, as_unit, encode_photo, read_photo
from fdikp.imaging.limits import white_level


def test_photo_is_checked():
    grey = np.zeros((4, 5, 1), np.uint8)
    for pixels in (grey[..., 0], grey[:0], np.zeros((4, 5, 2), np.uint8), grey.astype(np.float64)):
        with pytest.raises(ValueError, match="pixels must be"):
            Photo(pixels)
    for alpha in (grey, grey[:2, :, 0], grey[..., 0].astype(np.uint16)):
        with pytest.raises(ValueError, match="alpha must be"):
            Photo(grey, alpha)
    for pixels in (grey[:2], grey.astype(np.uint16), np.zeros((4, 5, 3), np.uint8)):
        with pytest.raises(ValueError, match="as before"):
            Photo(grey).with_pixels(pixels)
    photo = Photo(grey, grey[..., 0], "tiff", ("a note",))
    changed = photo.with_pixels(grey + 1)
    assert (changed.alpha is photo.alpha, changed.format, changed.notes) == (True, "tiff", ("a note",))
    assert (photo.height, photo.width) == (4, 5)


def test_a_photo_travels_between_processes_with_nothing_lost(tmp_path, exif_block, icc):
    """Read in one fresh process and written in another: the same bytes as within one process."""
    pixels = np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8)
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, spawn) as reader, ProcessPoolExecutor(1, spawn) as writer:
        for format in ("jpeg", "png", "tiff"):
            path = tmp_path / f"a.{format}"
            Image.fromarray(pixels).save(path, exif=b"Exif\0\0" + exif_block(6, (60, 40)), icc_profile=icc)
            photo = reader.submit(read_photo, path).result()
            data = writer.submit(encode_photo, photo, format).result()
            here = read_photo(path)
            assert (photo.metadata, photo.format, photo.notes) == (here.metadata, here.format, here.notes)
            assert here.metadata.icc == icc and (here.metadata.exif or format == "tiff")
            assert data == encode_photo(here, format)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.dtype(">u2"), np.float32, np.float64])
def test_unit_range_ends_at_full_intensity(dtype):
    most = 1 if np.dtype(dtype).kind == "f" else np.iinfo(dtype).max
    unit = as_unit(np.array([0, most], dtype))
    assert (unit.dtype, unit.tolist()) == (np.float32, [0.0, 1.0])
    assert white_level(np.dtype(dtype).name) == most


def test_importing_is_cheap():
    program = "import sys, fdikp.imaging; print([name in sys.modules for name in ('pyvips', 'rawpy', 'torch')])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[False, False, False]"
