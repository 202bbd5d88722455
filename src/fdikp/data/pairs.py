"""Data sets of real pairs for training and validation."""

from dataclasses import dataclass
from pathlib import Path

from fdikp.data.faults import raise_faults
from fdikp.data.headers import image_sizes
from fdikp.data.layouts import Layout, dpdd, lfdof, own_pairs
from fdikp.data.listing import Split
from fdikp.errors import DataError

LAYOUTS: dict[str, Layout] = {"DPDD": dpdd, "LFDOF": lfdof, "own pairs": own_pairs}
"""The layouts that are recognised, in this order."""


@dataclass(frozen=True)
class PairFiles:
    """A blurred image and the sharp image of the same scene."""

    name: str
    source: Path
    target: Path


@dataclass(frozen=True)
class PairSet:
    """The pairs of one split of a data set, in a fixed order."""

    layout: str
    """A key of `LAYOUTS`."""
    pairs: tuple[PairFiles, ...]

    def check(self, smallest: int = 1) -> dict[Path, tuple[int, int]]:
        """Height and width of every file, read from the headers.

        Raises:
            DataError: files cannot be read, the images of a pair differ in size, or a side is shorter than `smallest`.
        """
        sizes = image_sizes(file for pair in self.pairs for file in (pair.source, pair.target))
        faults = []
        for pair in self.pairs:
            (height, width), (high, wide) = sizes[pair.source], sizes[pair.target]
            if (height, width) != (high, wide):
                faults.append(size_mismatch(pair.source, (height, width), pair.target, (high, wide)))
            elif min(height, width) < smallest:
                faults.append(
                    f"{pair.source} is {width}x{height}, smaller than the crop of {smallest}; "
                    "use smaller crops or remove it"
                )
        raise_faults(faults)
        return sizes


def find_pairs(folder: Path, split: Split | None = None) -> PairSet | None:
    """The pairs of a data set, or None if its layout is unknown or it has no such split.

    Args:
        folder: of the data set; for own pairs also a CSV manifest.
        split: `train`, `val` or `test`; None for a set that is not divided into splits.

    Raises:
        DataError: the layout is known, but files are missing or do not match; the message lists the faults.
    """
    for name, layout in LAYOUTS.items():
        listing = layout(folder, split)
        if listing is not None:
            raise_faults(listing.faults)
            pairs = [PairFiles(e.name, e.source, e.target) for e in listing.entries if e.target]
            if not pairs:
                raise DataError(f"{folder}: has the layout of {name}, but no images; copy the data set again")
            return PairSet(name, tuple(pairs))
    return None


def size_mismatch(source: Path, size: tuple[int, int], target: Path, other: tuple[int, int]) -> str:
    """The fault of a pair whose images, (height, width) each, differ in size."""
    return (
        f"{source} is {size[1]}x{size[0]} but its target {target.name} {other[1]}x{other[0]}: "
        "the images of a pair must have the same size; crop or remove them"
    )
