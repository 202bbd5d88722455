"""Pictures as arrays. Files of 8 bits are read by Pillow, which every machine has; those of 16 bits by libvips, since
Pillow would take half of them away.

Every fault of a set is found and told at once, before any work begins.
"""

import struct
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from typing import TypeVar

import numpy as np
from PIL import Image, ImageOps

from fdikp.errors import DataError, PhotoError
from fdikp.imaging import as_unit

SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff"}

TOLD = 5
"""Faults that a message names; of more it gives the number."""

BROKEN = (OSError, ValueError, SyntaxError, EOFError, struct.error, Image.DecompressionBombError)
"""What Pillow raises on files that are no pictures, or broken ones."""

T = TypeVar("T")
R = TypeVar("R")


def find_pictures(folder: Path) -> list[Path]:
    """All pictures below a folder, in the order of their paths.

    Raises:
        DataError: there is no such folder, or no picture in it.
    """
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder; give the folder of a data set or of sharp pictures")
    found = sorted(file for file in folder.rglob("*") if file.suffix.lower() in SUFFIXES)
    if not found:
        raise DataError(f"{folder}: no pictures in it; give a folder with JPEG, PNG, WebP or TIFF files")
    return found


def load_pictures(folders: Sequence[Path]) -> list[np.ndarray]:
    """All pictures below the folders, in the order of their paths, as uint8 [H, W, 3].

    Raises:
        DataError: a folder is missing or empty, or pictures cannot be read; all that cannot are named.
    """
    return read_pictures([file for folder in folders for file in find_pictures(folder)])


def read_pictures(files: Sequence[Path]) -> list[np.ndarray]:
    """Pictures as uint8 [H, W, 3], in their order.

    Raises:
        DataError: some cannot be read; all that cannot are named.
    """
    return each(_read_8_bits, files)


def read_picture(file: Path) -> np.ndarray:
    """A picture's pixels, upright, RGB, [H, W, 3]: uint8, uint16, or of a float TIFF float32.

    16-bit files become uint8 where pyvips is not installed (`reads_16_bits`).

    Raises:
        DataError: missing, damaged, or no picture.
    """
    if is_deep(file) and reads_16_bits():
        from fdikp.imaging import read_photo

        try:
            pixels = read_photo(file).pixels
        except PhotoError as error:
            raise DataError(str(error)) from error
        return np.ascontiguousarray(np.broadcast_to(pixels, (*pixels.shape[:2], 3)))
    return _read_8_bits(file)


def read_unit(file: Path) -> np.ndarray:
    """A picture to measure with: upright, RGB, [H, W, 3] float32 in 0..1, exact for 8 and 16 bits.

    Stricter than `read_picture`: a file that is broken within is refused, not shown in part.

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


def is_deep(file: Path) -> bool:
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


def try_each(work: Callable[[T], R], items: Sequence[T]) -> list[R | DataError]:
    """What `work` makes of each item, in their order, in threads; where it raised a DataError, that."""

    def attempt(item: T) -> R | DataError:
        try:
            return work(item)
        except DataError as error:
            return error

    with ThreadPoolExecutor() as pool:
        return list(pool.map(attempt, items))


def each(work: Callable[[T], R], items: Sequence[T]) -> list[R]:
    """What `work` makes of each item, in their order, in threads.

    Raises:
        DataError: for some it raised a DataError; one message for all.
    """
    results = try_each(work, items)
    refuse([str(result) for result in results if isinstance(result, DataError)])
    return [result for result in results if not isinstance(result, DataError)]


def refuse(faults: Sequence[str]) -> None:
    """Raise a DataError that tells the faults in one line, and has them all as `faults`, if there are any."""
    if faults:
        more = f"; and {len(faults) - TOLD} more such faults" if len(faults) > TOLD else ""
        raise DataError("; ".join(faults[:TOLD]) + more, faults)


def _read_8_bits(file: Path) -> np.ndarray:
    try:
        with Image.open(file) as image:
            if image.mode.startswith(("I", "F")):
                raise OSError("more than 8 bits of grey, which need pyvips: pip install 'pyvips[binary]'")
            return np.array(ImageOps.exif_transpose(image).convert("RGB"))
    except BROKEN as error:
        raise unreadable(file, error) from error


def unreadable(file: Path, error: BaseException) -> DataError:
    """The error that says why a file is no picture, from one of `BROKEN`."""
    reason = "no such file" if isinstance(error, FileNotFoundError) else str(error).partition("\n")[0]
    if "cannot identify" in reason:
        reason = "not a picture"
    return DataError(f"{file}: cannot be read: {reason}; copy it again or remove it")
