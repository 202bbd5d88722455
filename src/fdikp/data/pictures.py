"""Pictures as arrays. Files of 8 bits are read by Pillow, which every machine has; those of 16 bits by libvips, since
Pillow would take half of them away.

Every fault of a set is found and told at once, before any work begins.
"""

import struct
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from typing import TypeVar

import numpy as np
from PIL import Image, ImageOps

from fdikp.errors import DataError, PhotoError

SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff"}

TOLD = 5
"""Faults that a message names; of more it gives the number."""

SIDEWAYS = (5, 6, 7, 8)
"""EXIF orientations that exchange rows and columns."""

_BROKEN = (OSError, ValueError, SyntaxError, EOFError, struct.error, Image.DecompressionBombError)
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
    files = [file for folder in folders for file in find_pictures(folder)]
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


def as_unit(pixels: np.ndarray) -> np.ndarray:
    """Integers of 8 or 16 bits to float32 in 0..1; floats as they are, in float32."""
    most = np.iinfo(pixels.dtype).max if pixels.dtype.kind == "u" else 1
    return pixels.astype(np.float32) / np.float32(most)


def picture_size(file: Path) -> tuple[int, int]:
    """Height and width, from the header; files that end too early are noticed, what is broken within is not.

    Raises:
        DataError: missing, cut short, or no picture.
    """
    try:
        with Image.open(file) as image:
            width, height = image.size
            kind, sideways = image.format, image.getexif().get(274) in SIDEWAYS
        if kind in _ENDS:
            end, reach = _ENDS[kind]
            with file.open("rb") as data:
                data.seek(max(0, file.stat().st_size - reach))
                if end not in data.read():
                    raise OSError("the file is cut short")
    except _BROKEN as error:
        raise _unreadable(file, error) from error
    return (width, height) if sideways else (height, width)


_ENDS = {"PNG": (b"IEND", 4096), "JPEG": (b"\xff\xd9", 65536)}
"""What whole files have near their end, and how near."""


def check_pictures(files: Iterable[Path]) -> dict[Path, tuple[int, int]]:
    """The size of each picture.

    Raises:
        DataError: some are missing, cut short or no pictures; all of them are named.
    """
    unique = list(dict.fromkeys(files))
    return dict(zip(unique, each(picture_size, unique), strict=True))


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


def each(work: Callable[[T], R], items: Sequence[T]) -> list[R]:
    """What `work` makes of each item, in their order, in threads.

    Raises:
        DataError: for some it raised a DataError; one message for all.
    """

    def attempt(item: T) -> R | DataError:
        try:
            return work(item)
        except DataError as error:
            return error

    with ThreadPoolExecutor() as pool:
        results = list(pool.map(attempt, items))
    refuse([str(result) for result in results if isinstance(result, DataError)])
    return [result for result in results if not isinstance(result, DataError)]


def refuse(faults: Sequence[str]) -> None:
    """Raise a DataError that tells the faults in one line, if there are any."""
    if faults:
        more = f"; and {len(faults) - TOLD} more such faults" if len(faults) > TOLD else ""
        raise DataError("; ".join(faults[:TOLD]) + more)


def _read_8_bits(file: Path) -> np.ndarray:
    try:
        with Image.open(file) as image:
            if image.mode.startswith(("I", "F")):
                raise OSError("more than 8 bits of grey, which need pyvips: pip install 'pyvips[binary]'")
            return np.array(ImageOps.exif_transpose(image).convert("RGB"))
    except _BROKEN as error:
        raise _unreadable(file, error) from error


def _unreadable(file: Path, error: BaseException) -> DataError:
    reason = "no such file" if isinstance(error, FileNotFoundError) else str(error).partition("\n")[0]
    if "cannot identify" in reason:
        reason = "not a picture"
    return DataError(f"{file}: cannot be read: {reason}; copy it again or remove it")
