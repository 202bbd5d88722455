"""Pictures as arrays. Files of 8 bits are read by Pillow, which every machine has; those of 16 bits by libvips, since
Pillow would take half of them away.

Every fault of a set is found and told at once, before any work begins.
"""

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from fdikp.data.faults import DECODE_ERRORS, map_all, unreadable
from fdikp.data.listing import find_images
from fdikp.errors import DataError, PhotoError
from fdikp.imaging import as_unit


def load_images(folders: Sequence[Path]) -> list[np.ndarray]:
    """All pictures below the folders, in the order of their paths, as uint8 [H, W, 3].

    Raises:
        DataError: a folder is missing or empty, or pictures cannot be read; all that cannot are named.
    """
    return read_images([file for folder in folders for file in find_images(folder)])


def read_images(files: Sequence[Path]) -> list[np.ndarray]:
    """Pictures as uint8 [H, W, 3], in their order.

    Raises:
        DataError: some cannot be read; all that cannot are named.
    """
    return map_all(_read_8_bits, files)


def read_image(file: Path) -> np.ndarray:
    """A picture's pixels, upright, RGB, [H, W, 3]: uint8, uint16, or of a float TIFF float32.

    16-bit files become uint8 where pyvips is not installed (`reads_16_bits`).

    Raises:
        DataError: missing, damaged, or no picture.
    """
    if needs_libvips(file) and reads_16_bits():
        from fdikp.imaging import read_photo

        try:
            pixels = read_photo(file).pixels
        except PhotoError as error:
            raise DataError(str(error)) from error
        return np.ascontiguousarray(np.broadcast_to(pixels, (*pixels.shape[:2], 3)))
    return _read_8_bits(file)


def read_unit(file: Path) -> np.ndarray:
    """A picture to measure with: upright, RGB, [H, W, 3] float32 in 0..1, exact for 8 and 16 bits.

    Stricter than `read_image`: a file that is broken within is refused, not shown in part.

    Raises:
        DataError: missing, damaged, no picture, or a float picture with values that are NaN or not in 0..1.
    """
    from fdikp.imaging import read_photo

    try:
        photo = read_photo(file)
    except PhotoError as error:
        raise DataError(str(error)) from error
    if (photo.metadata.float_scale, photo.metadata.float_offset) != (1.0, 0.0):
        raise DataError(f"{file}: has values outside 0..1; scale source and target to 0..1 alike")
    pixels = as_unit(photo.pixels)
    return np.ascontiguousarray(np.broadcast_to(pixels, (*pixels.shape[:2], 3)))


def needs_libvips(file: Path) -> bool:
    """Whether the file is one that Pillow would read with fewer bits than it has: a 16-bit PNG, any TIFF."""
    if file.suffix.lower() in (".tif", ".tiff"):
        return True
    try:
        with file.open("rb") as data:
            head = data.read(26)
    except OSError:
        return False  # reading it will say why
    return head.startswith(b"\x89PNG") and head[24:25] == b"\x10"


def reads_16_bits() -> bool:
    """Whether 16-bit files keep their depth here; without pyvips they are read as 8 bit."""
    return find_spec("pyvips") is not None


def _read_8_bits(file: Path) -> np.ndarray:
    try:
        with Image.open(file) as image:
            if image.mode.startswith(("I", "F")):
                raise OSError("more than 8 bits of grey, which need pyvips: pip install 'pyvips[binary]'")
            return np.array(ImageOps.exif_transpose(image).convert("RGB"))
    except DECODE_ERRORS as error:
        raise unreadable(file, error) from error
