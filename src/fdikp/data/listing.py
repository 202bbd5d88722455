"""Which image files a folder holds, and the listing of a data set that a layout makes of them."""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from fdikp.errors import DataError
from fdikp.imaging import FORMATS

Split = Literal["train", "val", "test"]

IMAGE_SUFFIXES = frozenset(suffix for name in ("jpeg", "png", "webp", "tiff") for suffix in FORMATS[name].suffixes)
"""Suffixes (lower case, with the dot) of data set images: the formats that Pillow reads on every machine."""


@dataclass(frozen=True)
class Entry:
    """One image of a data set."""

    name: str
    source: Path
    target: Path | None = None
    """The sharp image of the same scene; None where there is no ground truth, or where it is missing."""
    group: str | None = None
    """A part of the set that is also reported on its own."""


@dataclass
class Listing:
    """What a layout finds in a folder."""

    entries: list[Entry] = field(default_factory=list)
    """In a fixed order."""
    faults: list[str] = field(default_factory=list)
    """Why the set cannot be used as it is, one line each."""
    notes: list[str] = field(default_factory=list)
    """What the user should know about a set that can be used."""


def find_images(folder: Path) -> list[Path]:
    """All images in a folder and its subfolders, sorted by path.

    Raises:
        DataError: there is no such folder, or no image in it.
    """
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder; give the folder of a data set or of sharp images")
    files = sorted(file for file in folder.rglob("*") if file.suffix.lower() in IMAGE_SUFFIXES)
    if not files:
        raise DataError(f"{folder}: no images in it; give a folder with JPEG, PNG, WebP or TIFF files")
    return files


def images_in(folder: Path, faults: list[str]) -> list[Path]:
    """The images directly in a folder, sorted by name, without hidden files.

    Args:
        folder: where to look.
        faults: receives a line if there are no images.
    """
    children = folder.iterdir() if folder.is_dir() else ()
    images = (file for file in children if file.suffix.lower() in IMAGE_SUFFIXES and not file.name.startswith("."))
    files = sorted(file for file in images if not file.is_dir())
    if not files:
        missing = "no images in it" if folder.is_dir() else "no such folder"
        faults.append(f"{folder}: {missing}; copy the data set again")
    return files


def number_of(file: Path) -> int:
    """The running number at the end of a file name, as cameras write it; 0 without one.

    >>> number_of(Path("1P0A0917.png"))
    917
    """
    digits = re.search(r"(\d+)$", file.stem)
    return int(digits[1]) if digits else 0
