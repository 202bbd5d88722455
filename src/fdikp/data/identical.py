"""Pairs whose source has the pixels of its target. Measurements leave them out, because their PSNR is infinite."""

import filecmp
import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from fdikp.data.faults import try_map
from fdikp.data.readers import read_unit
from fdikp.errors import DataError

if TYPE_CHECKING:
    import pyvips

    from fdikp.data.sets import Sample

ROWS = 16
"""Rows that are compared first: nearly all pairs differ there, and the rest of their files need not be decoded."""


def identical_pairs(samples: Iterable["Sample"]) -> tuple[str, ...]:
    """The names of the samples whose source and target have equal pixels, in their order."""
    pairs = [(sample.name, *sample.files) for sample in samples if sample.files is not None]
    equal = try_map(lambda pair: same_pixels(*pair[1:]), pairs)
    return tuple(pair[0] for pair, same in zip(pairs, equal, strict=True) if same is True)


def same_pixels(one: Path, other: Path) -> bool:
    """Whether two images have equal pixels, whatever their formats.

    Raises:
        DataError: the images have equal first rows, and one of them cannot be read.
    """
    try:
        if filecmp.cmp(one, other, shallow=False):  # compares the sizes first
            return True
    except OSError as error:
        raise DataError(f"{one}, {other}: cannot be read: {error.strerror}") from error
    if _first_rows_differ(one, other):
        return False
    return np.array_equal(read_unit(one), read_unit(other))


def _first_rows_differ(one: Path, other: Path) -> bool:
    """Whether it can be told from the first rows in the files that two images differ."""
    from fdikp.imaging._vips import pyvips

    try:
        first, second = (
            pyvips.Image.new_from_file(os.fspath(file), access="sequential", fail_on="none") for file in (one, other)
        )
        if _layout(first) != _layout(second):
            return False
        rows = [image.crop(0, 0, image.width, min(ROWS, image.height)).write_to_memory() for image in (first, second)]
    except pyvips.Error:
        return False
    return bool(rows[0] != rows[1])


def _layout(image: "pyvips.Image") -> tuple[object, ...]:
    """What has to be equal for equal pixels to be equal bytes."""
    turned = image.get("orientation") if image.get_typeof("orientation") else 1
    return image.width, image.height, image.bands, image.format, image.interpretation, turned
