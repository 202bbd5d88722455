"""Reading images as arrays. Pillow, which every machine has, reads 8-bit files; libvips reads 16-bit files, because
Pillow would reduce them to 8 bits.
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
    """All images in the folders and their subfolders, sorted by path within each, as uint8 [H, W, 3].

    Raises:
        DataError: a folder is missing or empty, or images cannot be read; the message lists them.
    """
    return read_images([file for folder in folders for file in find_images(folder)])


def read_images(files: Sequence[Path]) -> list[np.ndarray]:
    """Images as uint8 [H, W, 3], in the order of the files.

    Raises:
        DataError: files cannot be read; the message lists them.
    """
    return map_all(_read_8_bits, files)


def read_image(file: Path) -> np.ndarray:
    """The pixels of an image, upright RGB [H, W, 3]: uint8, uint16, or float32 for a float TIFF.

    Without pyvips (`reads_16_bits`), 16-bit files are read as uint8.

    Raises:
        DataError: the file is missing, damaged, or not an image.
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
    """An image for measurements: upright RGB [H, W, 3], float32 in 0..1, exact for 8 and 16 bits.

    Stricter than `read_image`: a file with damaged data is an error, not a partial image.

    Raises:
        DataError: the file is missing, damaged, not an image, or has float values that are NaN or outside 0..1.
    """
    from fdikp.imaging import read_photo

    try:
        photo = read_photo(file)
    except PhotoError as error:
        raise DataError(str(error)) from error
    if (photo.metadata.float_scale, photo.metadata.float_offset) != (1.0, 0.0):
        raise DataError(f"{file}: has values outside 0..1; scale source and target to 0..1 by the same factor")
    pixels = as_unit(photo.pixels)
    return np.ascontiguousarray(np.broadcast_to(pixels, (*pixels.shape[:2], 3)))


def needs_libvips(file: Path) -> bool:
    """Whether Pillow might read the file with fewer bits than it has: a 16-bit PNG, or any TIFF."""
    if file.suffix.lower() in (".tif", ".tiff"):
        return True
    try:
        with file.open("rb") as data:
            head = data.read(26)
    except OSError:
        return False  # the reader reports the reason
    return head.startswith(b"\x89PNG") and head[24:25] == b"\x10"


def reads_16_bits() -> bool:
    """Whether 16-bit files keep their depth: without pyvips they are read as 8 bit."""
    return find_spec("pyvips") is not None


def _read_8_bits(file: Path) -> np.ndarray:
    try:
        with Image.open(file) as image:
            if image.mode.startswith(("I", "F")):
                raise OSError("more than 8 bits of grey, which need pyvips: pip install 'pyvips[binary]'")
            return np.array(ImageOps.exif_transpose(image).convert("RGB"))
    except DECODE_ERRORS as error:
        raise unreadable(file, error) from error
